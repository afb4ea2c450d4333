//! What holds for any body: it is decoded or is an error, and its code has a meaning. The fuzz
//! targets in `tests/fuzz/` and the replay of their corpus share this file.

use dingmap::testing::domain::Code;
use dingmap::testing::domain::by_code;
use dingmap::testing::domain::decode;

/// The data is the body.
///
/// # Panics
/// Where the property does not hold.
pub(crate) fn reply(data: &[u8]) {
    let reply = match decode(data, |text| text) {
        Ok(reply) => reply,
        Err(garbled) => {
            assert!(!garbled.to_string().is_empty());
            return;
        }
    };
    assert_eq!(Code::from_text(&reply.code.to_string()), reply.code);
    for id in reply.userid.iter().chain(&reply.exclusive_ids) {
        assert!(!id.trim().is_empty());
    }
    // The same code and words mean the same, also behind a blank.
    let meaning = by_code(&reply.code, &reply.message);
    assert_eq!(by_code(&Code::from_text(&format!(" {}", reply.code)), &reply.message), meaning);
}
