//! An order: its rules, its fingerprint, its JSON.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use uuid::Uuid;

const MAX_ITEMS: usize = 100;
const MAX_TEXT: usize = 255;
const MAX_QUANTITY: f64 = 1_000_000.0;
const MAX_PRICE: f64 = 99_999_999.99;
const MAX_TOTAL: i64 = 999_999_999_999; // cents
pub const CURRENCY: &str = "USD";
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    customer_id: String,
    items: Vec<ItemBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    product_id: String,
    quantity: f64,
    unit_price: f64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub product: String,
    pub quantity: i64,
    pub cents: i64,
}

pub struct Order {
    pub id: Uuid,
    pub client: String,
    pub customer: String,
    pub items: Vec<Item>,
    pub total: i64,
    pub created: SystemTime,
}

/// 1 to 255 characters without control characters.
fn plain(text: &str) -> bool {
    let mut count = 0;
    for c in text.chars() {
        if c.is_control() {
            return false;
        }
        count += 1;
    }
    (1..=MAX_TEXT).contains(&count)
}

/// The cents of a price with at most two decimals. The quotient is the double that is nearest to the two-decimal number.
fn cents(price: f64) -> Option<i64> {
    let nearest = (price * 100.0 + 0.5) as i64;
    ((0.01..=MAX_PRICE).contains(&price) && nearest as f64 / 100.0 == price).then_some(nearest)
}

/// The time of an id is that of its order.
pub fn new_id() -> (Uuid, SystemTime) {
    let id = Uuid::now_v7();
    (id, UNIX_EPOCH + Duration::from_millis((id.as_u128() >> 80) as u64))
}

pub fn new_traceparent() -> String {
    format!("00-{:032x}-{:016x}-01", rand::random::<u128>(), rand::random::<u64>())
}

impl Order {
    pub fn parse(text: &[u8], client: &str) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if !plain(&body.customer_id) {
            return Err(format!("customer_id must be 1 to {MAX_TEXT} characters without control characters"));
        }
        if !(1..=MAX_ITEMS).contains(&body.items.len()) {
            return Err(format!("items must be an array of 1 to {MAX_ITEMS} items"));
        }
        let (id, created) = new_id();
        let (mut items, mut total) = (Vec::with_capacity(body.items.len()), 0);
        for (i, item) in body.items.into_iter().enumerate() {
            let quantity = item.quantity;
            if !plain(&item.product_id) {
                return Err(format!("items/{i}/product_id must be 1 to {MAX_TEXT} characters without control characters"));
            }
            if !(1.0..=MAX_QUANTITY).contains(&quantity) || quantity.fract() != 0.0 {
                return Err(format!("items/{i}/quantity must be an integer from 1 to {MAX_QUANTITY}"));
            }
            let Some(cents) = cents(item.unit_price) else {
                return Err(format!("items/{i}/unit_price must be a number from 0.01 to {MAX_PRICE} with at most two decimals"));
            };
            total += cents * quantity as i64;
            if total > MAX_TOTAL {
                return Err("items must not cost more than 9999999999.99 in total".into());
            }
            items.push(Item { product: item.product_id, quantity: quantity as i64, cents });
        }
        Ok(Self { id, client: client.into(), customer: body.customer_id, items, total, created })
    }

    /// Identifies the payload: the sequence of items does not matter.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut items: Vec<&Item> = self.items.iter().collect();
        items.sort_unstable();
        let mut text = String::with_capacity(256);
        text.push_str(&self.customer);
        for item in items {
            let _ = write!(text, "\n{}\n{}\n{}", item.product, item.quantity, item.cents); // a String takes all
        }
        Sha256::digest(text).into()
    }

    /// What the queue would get.
    pub fn event(&self, id: Uuid) -> String {
        let mut out = String::with_capacity(512);
        let _ = write!(out, "{{\"eventType\":\"ORDER_CREATED\",\"eventId\":\"{id}\",\"orderId\":\"{}\",\"customerId\":", self.id);
        push_text(&mut out, &self.customer);
        push_items(&mut out, &self.items);
        out.push_str(",\"totalAmount\":");
        push_money(&mut out, self.total);
        out.push_str(",\"timestamp\":");
        push_time(&mut out, self.created);
        out.push_str(",\"clientId\":");
        push_text(&mut out, &self.client);
        out.push('}');
        out
    }
}

/// The answer to a new order, and to its replays.
pub fn receipt(id: Uuid, total: i64, created: SystemTime) -> String {
    let mut out = String::with_capacity(192);
    let _ = write!(out, "{{\"order_id\":\"{id}\",\"status\":\"PENDING_SHIPMENT\",\"total_amount\":");
    push_money(&mut out, total);
    out.push_str(",\"created_at\":");
    push_time(&mut out, created);
    out.push('}');
    out
}

// JSON is appended by hand: the documents are small.

pub fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

pub fn push_money(out: &mut String, cents: i64) {
    let _ = write!(out, "{}.{:02}", cents / 100, cents % 100);
}

pub fn push_time(out: &mut String, when: SystemTime) {
    let text = OffsetDateTime::from(when).format(TIME).unwrap_or_default(); // of our own times, or those of a database
    let _ = write!(out, "\"{text}\"");
}

pub fn push_items(out: &mut String, items: &[Item]) {
    out.push_str(",\"items\":[");
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i > 0 { ",{\"product_id\":" } else { "{\"product_id\":" });
        push_text(out, &item.product);
        let _ = write!(out, ",\"quantity\":{},\"unit_price\":", item.quantity);
        push_money(out, item.cents);
        out.push('}');
    }
    out.push(']');
}
