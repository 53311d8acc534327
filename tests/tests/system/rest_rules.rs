//! The rules of fields that the protos tell (`holdfast.api.v1.rule`), and OpenAPI with them, are those that the services keep:
//! each is tried at its limits and beyond.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use proto::api::Rule;
use regex::Regex;
use serde_json::{Value, json};
use system_tests::{Rest, fresh_id};

/// A request that is good, made anew for each try; and the message that its body is.
struct Case {
    path: &'static str,
    message: &'static str,
    good: fn() -> Value,
}

const ID: &str = "018f3a5e-0000-7000-8000-000000000001";

fn money() -> Value {
    json!({ "currencyCode": "EUR", "minorUnits": 5 })
}

const CASES: [Case; 9] = [
    Case {
        path: "/v1/products",
        message: "holdfast.catalog.v1.Product",
        good: || {
            json!({ "sku": fresh_id(), "displayName": "A", "description": "B", "price": money(), "onHand": 5,
                "held": 0, "productId": "", "holdTtl": "60s" })
        },
    },
    Case {
        path: "/v1/seatMaps",
        message: "holdfast.catalog.v1.CreateSeatMapRequest",
        good: || {
            let seat = json!({ "label": "1A", "section": "A", "row": "1", "number": 1, "price": money() });
            json!({ "seatMapId": fresh_id(), "seatMap": { "displayName": "A" }, "seats": [seat] })
        },
    },
    Case {
        path: "/v1/products/018f3a5e-0000-7000-8000-000000000001:adjustStock",
        message: "holdfast.catalog.v1.AdjustStockRequest",
        good: || json!({ "adjustmentId": fresh_id(), "delta": 1, "reason": "A" }),
    },
    Case {
        path: "/v1/seatMaps/018f3a5e-0000-7000-8000-000000000001/seats:update",
        message: "holdfast.catalog.v1.UpdateSeatsRequest",
        good: || json!({ "labels": ["1A"], "action": "SEAT_ACTION_BLOCK", "price": money() }),
    },
    Case {
        path: "/v1/bookings",
        message: "holdfast.reservation.v1.CreateBookingRequest",
        good: || {
            let line = json!({ "product": { "productId": ID, "quantity": 1 }, "unitPrice": null });
            json!({ "bookingId": fresh_id(), "customerId": "A", "lines": [line], "hold": true, "holdTtl": "60s" })
        },
    },
    Case {
        path: "/v1/bookings",
        message: "holdfast.reservation.v1.CreateBookingRequest",
        good: || {
            let line = json!({ "seat": { "seatMapId": ID, "label": "1A" } });
            json!({ "bookingId": fresh_id(), "customerId": "A", "lines": [line] })
        },
    },
    Case {
        path: "/v1/bookings/018f3a5e-0000-7000-8000-000000000001:extend",
        message: "holdfast.reservation.v1.ExtendHoldRequest",
        good: || json!({ "extension": "60s" }),
    },
    Case {
        path: "/v1/bookings/018f3a5e-0000-7000-8000-000000000001:pay",
        message: "holdfast.reservation.v1.PayBookingRequest",
        good: || json!({ "paymentId": ID, "success": true }),
    },
    Case {
        path: "/v1/bookings/018f3a5e-0000-7000-8000-000000000001:refund",
        message: "holdfast.reservation.v1.RefundBookingRequest",
        good: || json!({ "refundId": ID }),
    },
];

/// Texts of which every pattern takes some, and refuses others.
const TEXTS: [&str; 25] = [
    "EUR",
    "eur",
    "EU",
    "EURO",
    "E R",
    "\u{20ac}UR",
    "",
    "0s",
    "0.001s",
    "0.01s",
    "0.099s",
    "0.1s",
    "0.1001s",
    "0.100000000s",
    "1s",
    "01s",
    "1.5s",
    "1.0005s",
    "60s",
    "-60s",
    "86399.999s",
    "86400s",
    "86400.000s",
    "86400.001s",
    "100000s",
];

/// A change of one field, and whether the request is still good.
#[derive(Debug)]
struct Try {
    pointer: String,
    /// What it becomes; none: it is left out.
    value: Option<Value>,
    good: bool,
}

fn rule(field: &FieldDescriptor) -> Rule {
    let extension = field.parent_pool().get_extension_by_name("holdfast.api.v1.rule").expect("it is there");
    let options = field.options();
    options.get_extension(&extension).as_message().expect("a message").transcode_to().expect("a rule")
}

/// Everything to be tried of what is in `json`, which is at `pointer` of the body.
fn tries(message: &MessageDescriptor, json: &Value, pointer: &str, found: &mut Vec<Try>) {
    for field in message.fields() {
        let (rule, at) = (rule(&field), format!("{pointer}/{}", field.json_name()));
        let Some(value) = json.get(field.json_name()) else { continue };
        of_field(&field, &rule, value, &at, found);
        let Kind::Message(of) = field.kind() else { continue };
        match value {
            Value::Array(members) => tries(&of, &members[0], &format!("{at}/0"), found),
            Value::Object(_) => tries(&of, value, &at, found),
            _ => {}
        }
    }
}

fn of_field(field: &FieldDescriptor, rule: &Rule, value: &Value, pointer: &str, found: &mut Vec<Try>) {
    let mut add = |value: Option<Value>, good: bool| {
        found.push(Try { pointer: pointer.to_owned(), value, good });
    };
    if rule.required {
        add(None, false);
    }
    if rule.refused {
        add(Some(money()), false);
    }
    if rule.uuid && !rule.output_only {
        add(Some("x".into()), false);
        add(Some("018f3a5e00007000800000000000000a".into()), false);
        add(Some(ID.to_uppercase().into()), true);
    }
    let texts = |length: u32| {
        let text: Value = "\u{e9}".repeat(length as usize).into();
        if field.is_list() { json!([text]) } else { text }
    };
    if rule.max_length > 0 {
        add(Some(texts(rule.max_length)), true);
        add(Some(texts(rule.max_length + 1)), false);
        add(Some(texts(0)), rule.min_length == 0);
    }
    for (limit, beyond) in [(rule.minimum, -1), (rule.maximum, 1)] {
        if let Some(limit) = limit.filter(|_| !rule.output_only) {
            add(Some(limit.into()), true);
            add(Some((limit + beyond).into()), false);
        }
    }
    if rule.min_items > 0 {
        add(Some(json!([])), false);
    }
    if rule.unique_items {
        add(Some(json!([value[0], value[0]])), false);
    }
    if !rule.pattern.is_empty() {
        let pattern = Regex::new(&rule.pattern).expect("a pattern");
        let (good, bad): (Vec<_>, Vec<_>) = TEXTS.into_iter().partition(|text| pattern.is_match(text));
        assert!(!good.is_empty() && bad.len() > 9, "{pattern}: {good:?}, not {bad:?}");
        for text in TEXTS {
            add(Some(text.into()), good.contains(&text));
        }
    }
    if rule.max_items > 0 {
        add(Some(vec![value[0].clone(); rule.max_items as usize + 1].into()), false);
    }
}

/// The place that a violation names: `lines[0].product`.
fn place(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace("/0", "[0]").replace('/', ".")
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(proto::DESCRIPTORS).expect("a descriptor set")
}

#[tokio::test]
async fn every_rule_that_is_told_is_kept_to_its_limits() {
    let (pool, rest) = (pool(), Rest::shared());
    let mut count = 0;
    for Case { path, message, good } in CASES {
        let message = pool.get_message_by_name(message).expect("it is there");
        let mut found = Vec::new();
        tries(&message, &good(), "", &mut found);
        for Try { pointer, value, good: is_good } in found {
            count += 1;
            let mut body = good();
            let (parent, name) = pointer.rsplit_once('/').expect("it begins with one");
            let parent = body.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
            let shown = value.as_ref().map(|value| value.to_string().chars().take(80).collect::<String>());
            match value {
                Some(value) => parent.insert(name.to_owned(), value),
                None => parent.remove(name),
            };
            let answer = rest.post(path, &body).await;
            let details = answer.json["details"].as_array().cloned().unwrap_or_default();
            let bad = details.iter().filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
            let named = bad.map(|bad| bad["field"].as_str().expect("a path").to_owned()).collect::<Vec<_>>();
            // A member of a list stands for it, and what is within for what it is in.
            let place = place(&pointer);
            let refused = answer.status == 400 && named.iter().any(|named| named.starts_with(&place));
            assert_eq!(refused, !is_good, "{path}: {place} = {shown:?}: {named:?}: {answer:?}");
        }
    }
    assert!(count > 200, "only {count} tries");
}

/// A mask is a parameter, of names that an update may change.
#[tokio::test]
async fn masks_are_kept_to_their_patterns() {
    let (pool, rest) = (pool(), Rest::shared());
    let names = [
        "sku",
        "displayName",
        "display_name",
        "description",
        "price",
        "holdTtl",
        "hold_ttl",
        "onHand",
        "held",
        "productId",
        "etag",
        "createTime",
        "x",
        "*",
        "price,sku",
        "holdTtl,display_name",
        "sku,held",
        ",",
        "sku,",
    ];
    for (path, message) in [("products", "UpdateProductRequest"), ("seatMaps", "UpdateSeatMapRequest")] {
        let message =
            pool.get_message_by_name(&format!("holdfast.catalog.v1.{message}")).expect("it is there");
        let pattern = rule(&message.get_field_by_name("update_mask").expect("it is there")).pattern;
        let pattern = Regex::new(&pattern).expect("a pattern");
        for name in names {
            let mut body = json!({ "displayName": "A", "holdTtl": "60s" });
            if path == "products" {
                body["sku"] = "A".into();
                body["description"] = "B".into();
                body["price"] = money();
            }
            let answer = rest.patch(&format!("/v1/{path}/{}?updateMask={name}", fresh_id()), &body).await;
            // There is no such product: what is good comes as far as that.
            let wanted = if pattern.is_match(name) { 404 } else { 400 };
            assert_eq!(answer.status, wanted, "{path}, {name}: {answer:?}");
        }
    }
}
