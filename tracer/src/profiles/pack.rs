//! The file that holds one kernel's profile, before compression: lines that tell lengths, then the bytes.
//!
//! It must not know the rest of tracer: xtask compiles this very file to write what tracer embeds.

/// The first line; another number, another layout.
const MAGIC: &str = "tracer profile 1";

/// One kernel's profile as a file holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed {
    /// As `uname -r` prints it.
    pub(crate) release: String,
    /// The options that are set, a line each.
    pub(crate) config: String,
    pub(crate) btf: Vec<u8>,
}

impl Packed {
    /// The file's content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out =
            format!("{MAGIC}\n{}\n{}\n{}\n", self.release, self.config.len(), self.btf.len()).into_bytes();
        out.extend_from_slice(self.config.as_bytes());
        out.extend_from_slice(&self.btf);
        out
    }

    /// Reads what [`Packed::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes;
        let mut line = || {
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or("it ends within its head")?;
            let line = std::str::from_utf8(&rest[..end]).map_err(|_| "its head is no text")?;
            rest = &rest[end + 1..];
            Ok::<_, String>(line)
        };
        if line()? != MAGIC {
            return Err(format!("it does not begin with {MAGIC:?}"));
        }
        let release = line()?.to_owned();
        let mut length = || line()?.parse::<usize>().map_err(|_| "a length is no number".to_owned());
        let (config, btf) = (length()?, length()?);
        if config.checked_add(btf) != Some(rest.len()) {
            return Err("its parts do not add up to its length".to_owned());
        }
        let (config, btf) = rest.split_at(config);
        let config = String::from_utf8(config.to_vec()).map_err(|_| "its configuration is no text")?;
        Ok(Self { release, config, btf: btf.to_vec() })
    }
}
