//! Checks JSON output against the schemas in `samples/`.

use std::path::Path;

use serde_json::Value;

use crate::support::sample_files::sample_path;

/// The summary of a run, which matches its schema.
#[track_caller]
pub(crate) fn read_summary(path: &Path) -> Value {
    let summary = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_matches_schema("summary", &summary);
    summary
}

/// Sees that something is as its schema in `samples/` says.
#[track_caller]
pub(crate) fn assert_matches_schema(name: &str, actual: &Value) {
    let path = sample_path(&format!("{name}.schema.json"));
    let published = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut whole = Value::clone(&published);
    forbid_unknown_fields(&mut whole);
    for schema in [published, whole] {
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(actual)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?} in {actual:#}");
    }
}

/// Lets a schema take no field that it does not name: programs should ignore those, and we
/// are to describe them all.
fn forbid_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            parts.values_mut().for_each(forbid_unknown_fields);
            if parts.get("properties").is_some_and(Value::is_object) {
                parts.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(forbid_unknown_fields),
        _ => {}
    }
}
