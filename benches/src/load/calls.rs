//! What participants are asked, where a measurement has to know: the transaction's number and the branch stand in the
//! path of every call, as in `/0000000000000042/2/confirm`.

use super::message::Target;
use std::cell::RefCell;
use std::rc::Rc;

/// Digits of a transaction's number: always as many, so that all requests for it are of one length.
pub const DIGITS: usize = 16;

/// What became of a branch, in the words of either manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `try`, `act` or `action`.
    First,
    /// `confirm`.
    Confirm,
    /// `cancel` or `compensate`.
    Undo,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub transaction: u64,
    /// The branch, as one bit of two.
    pub branch: u8,
    pub asked: Asked,
}

/// Calls as they come, until somebody takes them.
pub type Calls = Rc<RefCell<Vec<Call>>>;

impl Call {
    pub fn of(target: Target<'_>) -> Option<Call> {
        let path = target.path().strip_prefix(b"/")?;
        let (number, rest) = path.split_at_checked(DIGITS)?;
        let transaction = number.iter().try_fold(0u64, |sum, byte| {
            byte.is_ascii_digit().then(|| sum.wrapping_mul(10) + u64::from(byte - b'0'))
        })?;
        let (branch, operation) = match rest {
            [b'/', b'1', b'/', operation @ ..] => (1, operation),
            [b'/', b'2', b'/', operation @ ..] => (2, operation),
            _ => return None,
        };
        let asked = match operation {
            b"try" | b"act" | b"action" => Asked::First,
            b"confirm" => Asked::Confirm,
            b"cancel" | b"compensate" => Asked::Undo,
            _ => return None,
        };
        Some(Call { transaction, branch, asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_from_its_path_whoever_sends_it() {
        let call = |text: &'static [u8]| Call::of(Target::of(text));
        let confirmed = Call { transaction: 42, branch: 2, asked: Asked::Confirm };
        assert_eq!(call(b"POST /0000000000000042/2/confirm HTTP/1.1\r\n"), Some(confirmed));
        assert_eq!(call(b"POST /0000000000000042/2/confirm?gid=42&op=confirm HTTP/1.1\r\n"), Some(confirmed));
        assert_eq!(call(b"POST /42/2/confirm HTTP/1.1\r\n"), None);
        assert_eq!(call(b"POST /0000000000000042/3/confirm HTTP/1.1\r\n"), None);
    }
}
