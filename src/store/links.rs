//! Links: two records known as one, one-to-one per tenant and other (connection, object).
//!
//! A link is two rows, one per direction, under one key: what holds for the left record holds for the right.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;
use crate::run::{Kept, Link, RecordRef};

/// What a commit keeps: first the pairs that are gone, so that their records may be linked anew.
///
/// # Errors
/// `Linked` when a record has another partner there.
pub(super) fn keep(connection: &Connection, kept: &Kept) -> Result<(), Error> {
    for link in &kept.unlink {
        remove(connection, link, &link.left, &link.right)?;
        remove(connection, link, &link.right, &link.left)?;
    }
    for (_, link) in &kept.link {
        let left = insert(connection, link, &link.left, &link.right, "left")?;
        let right = insert(connection, link, &link.right, &link.left, "right")?;
        if left != right || link.left == link.right {
            return Err(Error::Failed(format!("{} cannot be linked with itself", tell(&link.left))));
        }
    }
    Ok(())
}

fn remove(connection: &Connection, link: &Link, of: &RecordRef, with: &RecordRef) -> Result<(), Error> {
    let sql = "DELETE FROM links WHERE connection = ? AND object = ? AND id = ?
               AND other_connection = ? AND other_object = ? AND tenant = ? AND other_id = ?";
    connection.prepare_cached(sql)?.execute(params![
        of.connection,
        of.object,
        of.id,
        with.connection,
        with.object,
        tenant(link.tenant.as_deref()),
        with.id
    ])?;
    Ok(())
}

/// True if it is new; the same pair again changes nothing.
fn insert(connection: &Connection, link: &Link, of: &RecordRef, with: &RecordRef, side: &str) -> Result<bool, Error> {
    if let Some(partner) = within(connection, link.tenant.as_deref(), of, &with.connection, &with.object)? {
        if partner == *with {
            return Ok(false);
        }
        let link = Box::new(link.clone());
        return Err(Error::Linked { link, record: tell(of), partner: tell(&partner) });
    }
    let sql = "INSERT INTO links (connection, object, id, other_connection, other_object, tenant, other_id, side)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![
        of.connection,
        of.object,
        of.id,
        with.connection,
        with.object,
        tenant(link.tenant.as_deref()),
        with.id,
        side
    ])?;
    Ok(true)
}

/// The partner as one tenant knows it.
pub(super) fn within(
    connection: &Connection,
    of_tenant: Option<&str>,
    of: &RecordRef,
    other: &str,
    object: &str,
) -> Result<Option<RecordRef>, Error> {
    let sql = "SELECT other_id FROM links WHERE connection = ? AND object = ? AND id = ?
               AND other_connection = ? AND other_object = ? AND tenant = ?";
    let mut select = connection.prepare_cached(sql)?;
    let id: Option<String> = select
        .query_row(params![of.connection, of.object, of.id, other, object, tenant(of_tenant)], |row| row.get(0))
        .optional()?;
    Ok(id.map(|id| RecordRef { connection: other.to_owned(), object: object.to_owned(), id }))
}

/// All partners, whichever tenant's they are.
pub(super) fn partners(connection: &Connection, of: &RecordRef) -> Result<Vec<RecordRef>, Error> {
    let sql = "SELECT DISTINCT other_connection, other_object, other_id FROM links WHERE connection = ? AND object = ? AND id = ?";
    let mut select = connection.prepare_cached(sql)?;
    let partners = select.query_map([&of.connection, &of.object, &of.id], |row| {
        Ok(RecordRef { connection: row.get(0)?, object: row.get(1)?, id: row.get(2)? })
    })?;
    Ok(partners.collect::<Result<_, _>>()?)
}

/// The partner that every tenant agrees on.
pub(super) fn anywhere(
    connection: &Connection,
    of: &RecordRef,
    other: &str,
    object: &str,
) -> Result<Option<RecordRef>, Error> {
    let sql = "SELECT DISTINCT other_id FROM links WHERE connection = ? AND object = ? AND id = ?
               AND other_connection = ? AND other_object = ? LIMIT 2";
    let mut select = connection.prepare_cached(sql)?;
    let mut ids = select
        .query_map(params![of.connection, of.object, of.id, other, object], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    if ids.len() > 1 {
        return Err(Error::Failed(format!("tenants link {} with different records of {other}", tell(of))));
    }
    Ok(ids.pop().map(|id| RecordRef { connection: other.to_owned(), object: object.to_owned(), id }))
}

/// All links; of one record those of this record, itself on the left.
pub(super) fn list(connection: &Connection, of: Option<&RecordRef>, limit: usize) -> Result<Vec<Link>, Error> {
    let which = match of {
        Some(_) => "connection = ?2 AND object = ?3 AND id = ?4",
        None => "side = 'left' AND ?2 IS NULL AND ?3 IS NULL AND ?4 IS NULL",
    };
    let sql = format!(
        "SELECT connection, object, id, other_connection, other_object, other_id, tenant FROM links WHERE {which}
         ORDER BY connection, object, id, other_connection, other_object, tenant LIMIT ?1"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let key = params![limit, of.map(|of| &of.connection), of.map(|of| &of.object), of.map(|of| &of.id)];
    let links = select.query_map(key, |row| {
        Ok(Link {
            left: RecordRef { connection: row.get(0)?, object: row.get(1)?, id: row.get(2)? },
            right: RecordRef { connection: row.get(3)?, object: row.get(4)?, id: row.get(5)? },
            tenant: Some(row.get(6)?).filter(|tenant: &String| !tenant.is_empty()),
        })
    })?;
    Ok(links.collect::<Result<_, _>>()?)
}

fn tenant(tenant: Option<&str>) -> &str {
    tenant.unwrap_or("")
}

fn tell(record: &RecordRef) -> String {
    format!("`{}.{}` {:?}", record.connection, record.object, record.id)
}
