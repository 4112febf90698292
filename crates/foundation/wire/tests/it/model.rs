//! What must hold over every modelled service.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::HeaderMap;
use wire::{Kind, Operation, Protocol, Request, Shape, route};

fn operations() -> impl Iterator<Item = &'static Operation> {
    model::SERVICES.iter().flat_map(|service| service.operations).copied()
}

fn each_shape(shape: &'static Shape, seen: &mut BTreeSet<usize>, visit: &mut impl FnMut(&'static Shape)) {
    if !seen.insert(std::ptr::from_ref(shape).addr()) {
        return;
    }
    visit(shape);
    match shape.kind {
        Kind::Structure(members) | Kind::Union(members) => {
            members.iter().for_each(|it| each_shape(it.shape, seen, visit))
        }
        Kind::List(item) => each_shape(item.shape, seen, visit),
        Kind::Map(key, value) => {
            each_shape(key.shape, seen, visit);
            each_shape(value.shape, seen, visit);
        }
        _ => {}
    }
}

#[test]
fn every_pattern_of_the_model_compiles() {
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for operation in operations() {
        each_shape(operation.input_shape, &mut seen, &mut |shape| {
            if let Some(pattern) = shape.pattern.filter(|pattern| !wire::pattern_compiles(pattern)) {
                broken.push(format!("{}: {pattern}", shape.name));
            }
        });
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen.len() > 200);
}

#[test]
fn every_rest_operation_is_found_by_its_own_path() {
    for operation in operations().filter(|operation| operation.service.protocols.contains(&Protocol::RestJson)) {
        let (path, query) = operation.uri.split_once('?').unwrap_or((operation.uri, ""));
        let request = Request {
            method: operation.method.parse().unwrap(),
            path: path
                .split('/')
                .map(|part| if part.starts_with('{') { "x" } else { part })
                .collect::<Vec<_>>()
                .join("/"),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let found = route::detect(model::SERVICES, &request).operation.unwrap();
        assert_eq!(found.name, operation.name);
    }
}

#[test]
fn every_empty_input_and_output_passes_through_its_codecs() {
    for operation in operations() {
        let input = (operation.input)();
        // Inputs with required members are refused, the others pass; neither panics.
        let required = operation.input_shape.members().iter().any(|member| member.required);
        assert_eq!(wire::validate(operation, &*input).is_err(), required, "{}", operation.name);
        for protocol in operation.service.protocols {
            let printed = wire::encode(*protocol, operation, &*input, "id");
            assert_eq!(printed.status, operation.status, "{}", operation.name);
        }
    }
}

#[test]
fn an_input_can_be_copied_without_one_of_its_members() {
    use model::lambda::{CreateFunctionRequest, Environment, FunctionCode, ops};
    use wire::Op;
    let row = ops::CreateFunction::ROW;
    let input = CreateFunctionRequest {
        function_name: Some("hello".into()),
        timeout: Some(7),
        code: Some(FunctionCode { zip_file: Some(Bytes::from_static(b"zip")), ..Default::default() }),
        environment: Some(Environment { variables: Some([("A".to_owned(), "1".to_owned())].into()) }),
        ..Default::default()
    };
    let copy = |path: &str| -> CreateFunctionRequest {
        let any: Box<dyn std::any::Any> = wire::without(row, &input, path).unwrap();
        *any.downcast().unwrap()
    };
    assert_eq!(copy("Handler"), input, "what is not there cannot be missed");
    assert_eq!(copy("Timeout"), CreateFunctionRequest { timeout: None, ..input.clone() });
    assert_eq!(copy("Code.ZipFile"), CreateFunctionRequest { code: Some(FunctionCode::default()), ..input.clone() });
    assert_eq!(copy("Code"), CreateFunctionRequest { code: None, ..input.clone() });
}

#[test]
fn each_item_of_a_list_loses_the_member() {
    use model::logs::{InputLogEvent, PutLogEventsRequest, ops};
    use wire::Op;
    let event = |timestamp| InputLogEvent { timestamp, message: Some("m".into()) };
    let input = PutLogEventsRequest { log_events: Some(vec![event(Some(1)), event(Some(2))]), ..Default::default() };
    let any: Box<dyn std::any::Any> = wire::without(ops::PutLogEvents::ROW, &input, "logEvents.timestamp").unwrap();
    let copy: PutLogEventsRequest = *any.downcast().unwrap();
    assert_eq!(copy.log_events, Some(vec![event(None), event(None)]));
}
