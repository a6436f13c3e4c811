//! The list as a table and as JSON.

use std::io::{self, Write};

use serde_json::json;

use super::points::ListedPoint;
use crate::sink::json::SCHEMA_VERSION;

/// No column but the last is wider: one long name does not push all others away.
const WIDEST: usize = 44;

/// Name, module, mechanisms, signature: the last has whatever length it has.
pub(super) fn table(points: &[ListedPoint], out: &mut impl Write) -> io::Result<()> {
    let row = |point: &ListedPoint| {
        let module = point.module.clone().unwrap_or_else(|| "-".to_owned());
        [
            point.spec.clone(),
            module,
            point.mechanisms.join(","),
            point.signature.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let head = ["NAME", "MODULE", "REACHED BY", "SIGNATURE"].map(str::to_owned);
    let mut widths = head.each_ref().map(String::len);
    for point in points {
        for (width, cell) in widths.iter_mut().zip(row(point)) {
            *width = (*width).max(cell.len().min(WIDEST));
        }
    }
    let mut write = |[name, module, mechanisms, signature]: [String; 4]| {
        let [a, b, c, _] = widths;
        writeln!(out, "{name:<a$}  {module:<b$}  {mechanisms:<c$}  {signature}")
    };
    if !points.is_empty() {
        write(head)?;
    }
    points.iter().try_for_each(|point| write(row(point)))
}

/// One line, with its end.
pub(super) fn json(point: &ListedPoint) -> String {
    let line = json!({
        "schema": SCHEMA_VERSION,
        "type": "probe_point",
        "kind": point.kind.name(),
        "spec": point.spec,
        "name": point.name,
        "module": point.module,
        "category": point.category,
        "signature": point.signature,
        "mechanisms": point.mechanisms,
    });
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Kind;

    #[test]
    fn lines_are_valid_under_the_schema() {
        let point = ListedPoint {
            kind: Kind::Kprobe,
            spec: "kprobe:vfs_read".into(),
            name: "vfs_read".into(),
            module: None,
            category: None,
            signature: Some("ssize_t vfs_read(struct file *file)".into()),
            mechanisms: vec!["kprobe.multi", "kprobe"],
        };
        let schema = include_str!("../../../../docs/schema/v1.json");
        let schema = serde_json::from_str(schema).expect("the schema is JSON");
        let line = serde_json::from_str(&json(&point)).expect("the line is JSON");
        jsonschema::validate(&schema, &line).expect("the line is valid");
        let mut out = Vec::new();
        table(&[point], &mut out).expect("memory takes it");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "NAME             MODULE  REACHED BY           SIGNATURE\n\
             kprobe:vfs_read  -       kprobe.multi,kprobe  ssize_t vfs_read(struct file *file)\n"
        );
    }
}
