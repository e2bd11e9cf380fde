//! What fuzz targets need to see of the inside: the readers of what lies on disk.

use bytes::BytesMut;
use smtp_mail::MessageId;

use crate::row::{DeliveryRow, MessageRow};
use crate::schedule::DeliveryId;

/// Reads any octets as the row of a message and as that of a delivery. What can be read is written and read again, and
/// must be the same.
///
/// # Panics
/// When it is not.
pub fn rows(octets: &[u8]) {
    let message = MessageId::from_raw(1);
    if let Ok(row) = MessageRow::decode(message, octets) {
        let mut output = BytesMut::new();
        row.encode_unchecked(&mut output);
        assert_eq!(MessageRow::decode(message, &output).as_ref(), Ok(&row));
    }
    let id = DeliveryId { message, number: 1 };
    if let Ok(row) = DeliveryRow::decode(id, octets) {
        let mut output = BytesMut::new();
        row.encode_unchecked(&mut output);
        assert_eq!(DeliveryRow::decode(id, &output).as_ref(), Ok(&row));
    }
    crate::store::sled::read_any(octets);
}
