//! Models: what bodies look like, each a JSON schema of draft 4.
//! Source: API Gateway Developer Guide, "Data models for REST APIs" and "Amazon API Gateway important notes".

use std::collections::BTreeMap;

use base::Fault;
use serde_json::{Map, Value, json};

use super::schema::Documents;
use crate::rest::types::Model;
use crate::rest::{faults, limits};

/// Where models of APIs are, as schemas refer to them.
const BASE: &str = "https://apigateway.amazonaws.com/restapis/";

/// By their names.
pub(crate) type Models = BTreeMap<String, Model>;

/// What an API has from its beginning; `id` makes ids.
pub(crate) fn given(mut id: impl FnMut() -> String) -> Models {
    let mut one = |name: &str, properties: &str| {
        let schema = format!(
            "{{\n  \"$schema\": \"http://json-schema.org/draft-04/schema#\",\n  \"title\" : \"{name} Schema\",\n  \"type\" : \"object\"{properties}\n}}"
        );
        let description = Some(format!("This is a default {} schema model", name.to_lowercase()));
        (name.to_owned(), Model { id: id(), description, schema, content_type: "application/json".into() })
    };
    let message = ",\n  \"properties\" : {\n    \"message\" : { \"type\" : \"string\" }\n  }";
    Models::from([one("Empty", ""), one("Error", message)])
}

/// The models of an API that was kept before there were any but those two.
pub(crate) fn before() -> Models {
    let mut ids = ["empty0", "error0"].iter();
    given(|| ids.next().map_or_else(String::new, |id| (*id).to_owned()))
}

/// How a schema refers to a model.
pub(crate) fn reference(api: &str, name: &str) -> String {
    format!("{BASE}{api}/models/{name}")
}

/// The name of the model of that API that a reference means.
pub(crate) fn referred<'r>(api: &str, reference: &'r str) -> Option<&'r str> {
    let name = reference.strip_prefix(BASE)?.strip_prefix(api)?.strip_prefix("/models/")?;
    Some(name.trim_end_matches('#'))
}

/// All values of `$ref` in a schema.
pub(crate) fn references(schema: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(all) => open.extend(all),
            Value::Object(all) => {
                found.extend(all.get("$ref").and_then(Value::as_str));
                open.extend(all.values());
            }
            _ => {}
        }
    }
    found
}

/// Changes all values of `$ref` in a schema.
pub(crate) fn rewrite(schema: &mut Value, change: &dyn Fn(&str) -> Option<String>) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(|one| rewrite(one, change)),
        Value::Object(all) => {
            if let Some(changed) = all.get("$ref").and_then(Value::as_str).and_then(change) {
                all.insert("$ref".to_owned(), Value::String(changed));
            }
            all.values_mut().for_each(|one| rewrite(one, change));
        }
        _ => {}
    }
}

fn is_json(content_type: &str) -> bool {
    let plain = content_type.split(';').next().unwrap_or_default().trim();
    plain.eq_ignore_ascii_case("application/json") || plain.to_ascii_lowercase().ends_with("+json")
}

/// Whether a model may have this name.
///
/// # Errors
/// BadRequestException.
pub(crate) fn check_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(faults::bad("Model name must be non-empty"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(faults::bad(format!("Model name must be alphanumeric: {name}")));
    }
    crate::rules::check::length("name", Some(name), 1, 128)
}

fn invalid(why: impl std::fmt::Display) -> Fault {
    faults::bad(format!(
        "Invalid model specified: Validation Result: warnings : [], errors : [Invalid model schema specified. {why}]"
    ))
}

/// Whether the schemas of models are such, and refer only to models of their API.
///
/// # Errors
/// BadRequestException, as `told` says it of the model that it is about.
pub(crate) fn check(
    api: &str,
    models: &Models,
    names: impl Iterator<Item = String>,
    told: impl Fn(&str, Fault) -> Fault,
) -> Result<(), Fault> {
    let mut of_json = Vec::new();
    for name in names {
        let Some(one) = models.get(&name) else { continue };
        of_own(one).map_err(|fault| told(&name, fault))?;
        // Of other types AWS, too, only keeps what is said.
        if is_json(&one.content_type) {
            of_json.push(name);
        }
    }
    Documents::of(api, models, of_json).map(drop).map_err(|(name, why)| told(&name, invalid(why)))
}

fn of_own(one: &Model) -> Result<(), Fault> {
    if one.schema.is_empty() {
        return Err(faults::bad("Model schema must have at least 1 property or array items defined"));
    }
    if one.schema.len() > limits::SCHEMA_BYTES {
        return Err(faults::bad(format!(
            "Model schema has {} bytes; {} are the limit",
            one.schema.len(),
            limits::SCHEMA_BYTES
        )));
    }
    if !one.content_type.contains('/') {
        return Err(faults::bad(format!("Invalid content type specified: {}", one.content_type)));
    }
    Ok(())
}

/// The schema of a model, whose references are to models of its API and into itself.
///
/// # Errors
/// Why it has none.
pub(crate) fn schema(api: &str, models: &Models, name: &str) -> Result<Value, String> {
    let one = models.get(name).filter(|one| is_json(&one.content_type));
    let one = one.ok_or_else(|| format!("Invalid model name specified: {name}"))?;
    let schema: Value = serde_json::from_str(&one.schema).map_err(|error| error.to_string())?;
    for reference in references(&schema) {
        match referred(api, reference) {
            Some(name) if models.contains_key(name) => {}
            Some(name) => return Err(format!("Invalid model name specified: {name}")),
            None if reference.starts_with('#') => {}
            None => return Err("Model reference must be in canonical form".to_owned()),
        }
    }
    Ok(schema)
}

/// What the models of an API say of bodies, by content type or `$default`: the type's own goes before.
pub(crate) fn of_content_type<'m, V>(models: &'m BTreeMap<String, V>, content_type: Option<&str>) -> Option<&'m V> {
    let plain = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let wanted = content_type.map_or_else(|| "application/json".to_owned(), plain);
    let named = models.iter().find(|(of, _)| plain(of) == wanted).map(|(_, model)| model);
    named.or_else(|| models.get("$default"))
}

/// The models of those names as schemas that can be asked; those whose type is not JSON's say nothing.
///
/// # Errors
/// Which model has no schema, and why.
pub(crate) fn ready<'n>(
    api: &str,
    models: &Models,
    names: impl Iterator<Item = &'n String>,
) -> Result<Documents, (String, String)> {
    let json = |name: &&String| models.get(*name).is_some_and(|one| is_json(&one.content_type));
    Documents::of(api, models, names.filter(json).cloned().collect())
}

/// A schema with the models that it refers to inside, under `definitions`.
pub(crate) fn flattened(api: &str, models: &Models, schema: &str) -> String {
    let Ok(mut whole) = serde_json::from_str::<Value>(schema) else { return schema.to_owned() };
    let mut inside = Map::new();
    let local = |reference: &str| referred(api, reference).map(|name| format!("#/definitions/{name}"));
    let mut open: Vec<String> = names(api, &whole);
    while let Some(name) = open.pop() {
        let Some(one) = models.get(&name).filter(|_| !inside.contains_key(&name)) else { continue };
        let mut schema: Value = serde_json::from_str(&one.schema).unwrap_or_default();
        open.extend(names(api, &schema));
        rewrite(&mut schema, &local);
        inside.insert(name, schema);
    }
    rewrite(&mut whole, &local);
    if inside.is_empty() {
        return schema.to_owned();
    }
    if let Some(object) = whole.as_object_mut() {
        let own = object.entry("definitions").or_insert_with(|| json!({}));
        if let Some(own) = own.as_object_mut() {
            own.extend(inside);
        }
    }
    whole.to_string()
}

/// The models of an API that a schema refers to.
pub(crate) fn names(api: &str, schema: &Value) -> Vec<String> {
    references(schema).into_iter().filter_map(|one| referred(api, one)).map(str::to_owned).collect()
}

/// A mapping template that makes what a model describes, as AWS drafts one.
pub(crate) fn template(api: &str, models: &Models, one: &Model) -> String {
    let schema: Value = serde_json::from_str(&flattened(api, models, &one.schema)).unwrap_or_default();
    let mut text = String::from("#set($inputRoot = $input.path('$'))\n");
    let mut draft = Draft { whole: &schema, text: &mut text, open: Vec::new() };
    draft.value(&schema, "$inputRoot", 0);
    text
}

/// How deep a drafted template goes, and how long it is, bytes: models may refer to each other many times over.
const DRAFT_DEPTH: usize = 60;
const DRAFT_BYTES: usize = limits::TEMPLATE_BYTES;

struct Draft<'a> {
    whole: &'a Value,
    text: &'a mut String,
    // References on the way here: what contains itself is drafted once.
    open: Vec<&'a str>,
}

impl<'a> Draft<'a> {
    fn value(&mut self, schema: &'a Value, path: &str, depth: usize) {
        if self.open.len() + depth > DRAFT_DEPTH || self.text.len() > DRAFT_BYTES {
            self.text.push_str("{}");
            return;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let found = reference.strip_prefix('#').and_then(|pointer| self.whole.pointer(pointer));
            match found.filter(|_| !self.open.contains(&reference)) {
                Some(found) => {
                    self.open.push(reference);
                    self.value(found, path, depth);
                    self.open.pop();
                }
                None => self.text.push_str("{}"),
            }
            return;
        }
        let named = schema.get("type").map(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()).unwrap_or_default());
        let object = schema.get("properties").is_some();
        match named.unwrap_or(if object { "object" } else { "string" }) {
            "array" => {
                let indent = " ".repeat(depth);
                self.text.push_str("[\n");
                self.text
                    .push_str(concat!("##TO", "DO: Update this foreach loop to reference array from input json\n"));
                self.text.push_str(&format!("#foreach($elem in {path})\n{indent} "));
                self.value(schema.get("items").unwrap_or(&Value::Null), "$elem", depth + 1);
                self.text.push_str(&format!("\n#if($foreach.hasNext),#end\n#end\n{indent}]"));
            }
            "object" => {
                self.text.push('{');
                let all = schema.get("properties").and_then(Value::as_object);
                for (at, (name, one)) in all.into_iter().flatten().enumerate() {
                    self.text.push_str(if at == 0 { "\n" } else { ",\n" });
                    self.text.push_str(&format!("{}\"{name}\" : ", " ".repeat(depth + 2)));
                    self.value(one, &format!("{path}.{name}"), depth + 2);
                }
                self.text.push_str(&format!("\n{}}}", " ".repeat(depth)));
            }
            "integer" => self.text.push_str("42"),
            "number" => self.text.push_str("3.149"),
            "boolean" => self.text.push_str("true"),
            "null" => self.text.push_str("null"),
            _ => self.text.push_str("\"foo\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(schema: Value) -> Model {
        Model { id: "m".into(), description: None, schema: schema.to_string(), content_type: "application/json".into() }
    }

    #[test]
    fn schemas_refer_to_models_of_their_api() {
        let mut models = before();
        models.insert("Pet".into(), model(json!({"type": "object", "properties": {"name": {"type": "string"}}})));
        let of_model = |one: Model| {
            let mut models = models.clone();
            models.insert("One".into(), one);
            check("api", &models, ["One".to_owned()].into_iter(), |_, fault| fault)
        };
        let of = |reference: &str| of_model(model(json!({"items": {"$ref": reference}})));
        of(&reference("api", "Pet")).unwrap();
        of("#/items").unwrap();
        for (wrong, told) in [
            (reference("api", "None"), "Invalid model name specified: None"),
            (reference("other", "Pet"), "canonical form"),
            ("http://127.0.0.1/schema".into(), "canonical form"),
            ("#/none".into(), "Invalid model schema specified"),
        ] {
            let fault = of(&wrong).unwrap_err();
            assert!(fault.message.contains(told), "{wrong}: {fault}");
        }
        assert!(of_model(model(json!([]))).is_err());
        assert!(of_model(model(json!({"type": "unknown"}))).is_err());
        let xml = Model { content_type: "application/xml".into(), schema: "anything".into(), ..Model::default() };
        of_model(xml).unwrap();
    }

    #[test]
    fn a_flat_schema_has_all_inside() {
        let mut models = before();
        models.insert("Kind".into(), model(json!({"enum": ["cat"]})));
        models.insert("Pet".into(), model(json!({"properties": {"kind": {"$ref": reference("api", "Kind")}}})));
        let flat = flattened("api", &models, &json!({"items": {"$ref": reference("api", "Pet")}}).to_string());
        let flat: Value = serde_json::from_str(&flat).unwrap();
        assert_eq!(flat["items"]["$ref"], "#/definitions/Pet");
        assert_eq!(flat["definitions"]["Pet"]["properties"]["kind"]["$ref"], "#/definitions/Kind");
        assert_eq!(flat["definitions"]["Kind"]["enum"][0], "cat");
    }

    #[test]
    fn a_template_has_something_for_each_part() {
        let schema = json!({"type": "array", "items": {"type": "object", "properties": {
            "id": {"type": "integer"}, "name": {"type": "string"}, "next": {"$ref": "#"},
        }}});
        let text = template("api", &before(), &model(schema));
        assert!(text.starts_with("#set($inputRoot = $input.path('$'))\n[\n##"), "{text}");
        assert!(text.contains("#foreach($elem in $inputRoot)\n {\n   \"id\" : 42,\n   \"name\" : \"foo\""), "{text}");
    }

    #[test]
    fn a_request_takes_its_types_model() {
        let models = BTreeMap::from([("application/json".to_owned(), 1), ("$default".to_owned(), 2)]);
        assert_eq!(of_content_type(&models, None), Some(&1));
        assert_eq!(of_content_type(&models, Some("Application/JSON; charset=utf-8")), Some(&1));
        assert_eq!(of_content_type(&models, Some("text/plain")), Some(&2));
        assert_eq!(of_content_type(&BTreeMap::from([("text/plain".to_owned(), 1)]), None), None);
    }
}
