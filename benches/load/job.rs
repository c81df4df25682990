//! The one job that both do: a webhook of about 600 bytes, one condition, six mapped fields, one POST.

use std::path::Path;

use serde_json::{Value, json};

pub const SECRET: &str = "the-secret-of-the-webhook";

/// The body of a webhook.
pub fn event(id: &str) -> Value {
    json!({
        "id": id, "type": "order.paid", "created_at": "2026-11-24T10:00:00Z",
        "customer": {
            "id": "c-20931", "first_name": "Ada", "last_name": "Byron", "email": "ada.byron@example.com",
            "phone": "+442079460001", "address": { "line1": "12 St James's Square", "city": "London", "country": "GB" },
        },
        "order": {
            "number": id, "currency": "GBP", "total": 129.5, "paid": true,
            "lines": [{ "sku": "BK-201", "title": "Sketch of the Engine", "count": 1, "price": 99.5 },
                { "sku": "ST-007", "title": "Punched cards, blank", "count": 3, "price": 10 }],
        },
        "note": "leave it with the neighbour at number 14",
    })
}

const CONNECTOR: &str = "
connector: shop
base_url: https://shop.example.com
auth: { token: { bearer: $.secrets.token } }
objects:
  sale:
    schema:
      type: object
      properties:
        id: { type: string }
        reference: { type: string }
        email: { type: string }
        name: { type: string }
        city: { type: string }
        total: { type: number }
        currency: { type: string }
    id: id
    operations:
      create:
        request: POST /sales
        body: $.input
        returns: $
        if_unsure: send_again
";

const SCHEMA: &str = "
  schema:
    type: object
    properties:
      id: { type: string }
      customer:
        type: object
        properties:
          first_name: { type: string }
          last_name: { type: string }
          email: { type: string }
          address: { type: object, properties: { city: { type: string } } }
      order:
        type: object
        properties: { number: { type: string }, currency: { type: string }, total: { type: number } }
";

const ACTION: &str = "
  - call: shop.sale.create
    with:
      reference: $.event.body.order.number
      email: $.event.body.customer.email
      name: '{{event.body.customer.first_name}} {{event.body.customer.last_name}}'
      city: $.event.body.customer.address.city
      total: $.event.body.order.total
      currency: $.event.body.order.currency
";

/// The one that hears the webhook is the last by name; the others hear other paths.
fn workflow(number: usize, hears: bool, actions: usize) -> String {
    let path = if hears { "/orders".to_owned() } else { format!("/orders-{number}") };
    format!(
        "workflow: sale-{number}\nuses: {{ shop: shop }}\ntrigger:\n  webhook: {path}\n  \
         verify: [{{ header: X-Hook, token: $.secrets.hook }}]\n  replay: {{ id: $.id }}\n  \
         only_if: {{ $.event.body.order.total: {{ gt: 100 }} }}{SCHEMA}actions:{}",
        ACTION.repeat(actions)
    )
}

/// Writes the project: so many workflows, the one that hears the webhook with so many actions.
pub fn write(folder: &Path, vendor: &str, workflows: usize, actions: usize) {
    use std::os::unix::fs::PermissionsExt as _;
    let project = format!(
        "project: load\nconnections:\n  shop: {{ connector: shop, base_url: \"http://{vendor}\", token: $.secrets.token }}\n"
    );
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    };
    put("project/dovetail.yaml", &project);
    put("project/connectors/shop.yaml", CONNECTOR);
    for number in 0..workflows {
        let hears = number + 1 == workflows;
        let text = workflow(number, hears, if hears { actions } else { 1 });
        put(&format!("project/workflows/sale-{number}.yaml"), &text);
    }
    put("secrets.yaml", &format!("hook: {SECRET}\ntoken: a-token\n"));
}
