//! `events/CATEGORY/NAME/format`: how the record of a tracepoint is laid out.

/// The layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub id: u64,
    /// Without the common ones.
    pub fields: Vec<FormatField>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatField {
    /// Without the name and the brackets of an array: `const char *`, `char`, `__data_loc char[]`.
    pub c_type: String,
    pub name: String,
    /// Elements, if it is an array.
    pub count: Option<u32>,
    pub offset: u32,
    /// Of the whole field, in bytes.
    pub size: u32,
    pub signed: bool,
}

impl Format {
    /// From the text of the file.
    ///
    /// # Errors
    /// It is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("ID:"))
            .and_then(|id| id.trim().parse().ok())
            .ok_or("its format has no ID")?;
        let fields = text.lines().filter_map(|line| line.trim_start().strip_prefix("field:")).map(field);
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            id,
            fields: fields.into_iter().filter(|field| !field.name.starts_with("common_")).collect(),
        })
    }

    /// The type of a field, as C writes it.
    pub fn shown(field: &FormatField) -> String {
        match field.count {
            Some(count) => format!("{}[{count}]", field.c_type),
            None => field.c_type.clone(),
        }
    }
}

/// `unsigned long args[6]; offset:16; size:48; signed:0;`, with tabs.
fn field(text: &str) -> Result<FormatField, String> {
    let bad = || format!("its format has a field that is not understood: {text}");
    let mut parts = text.split(';').map(str::trim);
    let declaration = parts.next().ok_or_else(bad)?;
    let mut value = |key: &str| parts.next()?.strip_prefix(key)?.parse::<i64>().ok();
    let (offset, size, signed) = (value("offset:"), value("size:"), value("signed:"));
    let (Some(offset), Some(size)) =
        (offset.and_then(|n| u32::try_from(n).ok()), size.and_then(|n| u32::try_from(n).ok()))
    else {
        return Err(bad());
    };
    // An array's brackets follow the name, but those of `__data_loc char[] name` do not.
    let (declaration, count) = match declaration.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((before, digits)) => (before, Some(digits.trim().parse::<u32>().unwrap_or(0))),
        None => (declaration, None),
    };
    let split = declaration.rfind([' ', '*']).ok_or_else(bad)?;
    let (c_type, name) = declaration.split_at(split + 1);
    if name.is_empty() {
        return Err(bad());
    }
    Ok(FormatField {
        c_type: c_type.trim().to_owned(),
        name: name.to_owned(),
        // A count that is a macro's name is worked out from the sizes where the type is known.
        count,
        offset,
        size,
        signed: signed == Some(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read() {
        let text = "name: x\nID: 310\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
                    \tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
                    \tfield:__data_loc char[] filename;\toffset:24;\tsize:4;\tsigned:0;\n\
                    \tfield:const char * name;\toffset:32;\tsize:8;\tsigned:0;\n\
                    \tfield:pid_t pid;\toffset:40;\tsize:4;\tsigned:1;\n\nprint fmt: \"field:%s\", REC->x\n";
        let format = Format::parse(text).expect("a format");
        assert_eq!(format.id, 310);
        let fields: Vec<_> = format
            .fields
            .iter()
            .map(|f| (f.name.as_str(), Format::shown(f), f.offset, f.size, f.signed))
            .collect();
        assert_eq!(
            fields,
            [
                ("prev_comm", "char[16]".to_owned(), 8, 16, false),
                ("filename", "__data_loc char[]".to_owned(), 24, 4, false),
                ("name", "const char *".to_owned(), 32, 8, false),
                ("pid", "pid_t".to_owned(), 40, 4, true),
            ]
        );
        assert!(Format::parse("").is_err());
        assert!(Format::parse("ID: 1\n\tfield:int;\toffset:0;\tsize:4;\tsigned:1;\n").is_err());
        assert!(Format::parse("ID: 1\n\tfield:int a;\toffset:x;\tsize:4;\tsigned:1;\n").is_err());
    }
}
