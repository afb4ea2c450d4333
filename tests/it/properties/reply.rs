//! What holds for any body: it is read or told apart, and its code has a meaning. The fuzzer in `fuzz/` and the
//! replay of its corpus share this file.

use dingmap::testing::domain::Code;
use dingmap::testing::domain::decode;
use dingmap::testing::domain::verdict;

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
    assert_eq!(Code::read(&reply.code.to_string()), reply.code);
    for id in reply.userid.iter().chain(&reply.exclusive) {
        assert!(!id.trim().is_empty());
    }
    // The same code and words mean the same, also behind a blank.
    let meaning = verdict(&reply.code, &reply.message);
    assert_eq!(verdict(&Code::read(&format!(" {}", reply.code)), &reply.message), meaning);
}
