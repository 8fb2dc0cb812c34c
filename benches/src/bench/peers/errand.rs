//! What a transaction takes at each manager, and what its participants say: the same saga of two branches, and the same
//! tcc of two.

use crate::load::{Asked, Call, Calls, Errand, Step, World};
use std::io;
use std::net::SocketAddr;

/// Of both managers alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Saga,
    Tcc,
}

impl Mode {
    pub const ALL: [Mode; 2] = [Mode::Saga, Mode::Tcc];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Saga => "saga",
            Mode::Tcc => "tcc",
        }
    }
}

const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// What each branch is called with.
const CALL_BODY: &str = r#"{"account":"DE02120300000000202051","amount":10.50}"#;

/// One participant for all: it agrees, and writes down what it was asked.
pub fn participant(world: &mut World) -> io::Result<(SocketAddr, Calls)> {
    let calls = Calls::default();
    let asked = calls.clone();
    let address = world.serve(move |target| {
        asked.borrow_mut().extend(Call::of(target));
        Some(AGREED)
    })?;
    Ok((address, calls))
}

/// What our client asks: one request. `waits` until everything has ended, or is told where to look once the beginning is
/// durable.
pub fn ours(mode: Mode, gateway: SocketAddr, waits: bool) -> Errand {
    let body = format!(
        r#"{{"number":"{}","from":"DE02120300000000202051","to":"DE02500105170137075030","amount":10.50}}"#,
        Step::number()
    );
    let headers = if waits { "" } else { "prefer: respond-async\r\n" };
    let path = format!("/{}", mode.name());
    Errand { steps: vec![Step::post(gateway, &path, headers, &body)], ends_with: None }
}

/// The services and routes of ours.
pub fn configuration(participant: SocketAddr) -> String {
    let mut text = format!(
        "services:\n  a: {{ endpoints: [\"{participant}\"], anonymous: true }}\n  \
         b: {{ endpoints: [\"{participant}\"], anonymous: true }}\nroutes:\n"
    );
    for mode in Mode::ALL {
        let name = mode.name();
        text.push_str(&format!(
            "  - name: {name}\n    match: {{ method: POST, path: /{name} }}\n    transaction:\n      \
             mode: {name}\n      branches:\n"
        ));
        for (service, branch, account) in [("a", 1, "from"), ("b", 2, "to")] {
            text.push_str(&format!(
                "        - {{ name: {service}, service: {service}, path: \"/${{request.body.number}}/{branch}\", \
                 body: {{ account: \"${{request.body.{account}}}\", amount: \"${{request.body.amount}}\" }} }}\n"
            ));
        }
    }
    text
}

/// What a client of dtmrs asks. It is told when its transaction is taken, not when it has ended; and of a tcc it sends the
/// first operations itself, each after it has said so.
pub fn dtmrs(mode: Mode, manager: SocketAddr, participant: SocketAddr, waits: bool) -> Errand {
    let number = Step::number();
    let url = |branch, operation: &str| format!("http://{participant}/{number}/{branch}/{operation}");
    let payload = CALL_BODY.replace('"', "\\\"");
    let post = |path: &str, body: &str| Step::post(manager, &format!("/api/dtmsvr/{path}"), "", body);
    let (steps, last) = match mode {
        Mode::Saga => {
            let step = |branch| {
                let (action, undo) = (url(branch, "action"), url(branch, "compensate"));
                format!(r#"{{"action":"{action}","compensate":"{undo}","payload":"{payload}"}}"#)
            };
            let (one, two) = (step(1), step(2));
            let body = format!(r#"{{"gid":"{number}","trans_type":"saga","steps":[{one},{two}]}}"#);
            (vec![post("submit", &body)], Asked::First)
        }
        Mode::Tcc => {
            let whole = format!(r#"{{"gid":"{number}","trans_type":"tcc"}}"#);
            let register = |branch| {
                let (confirm, cancel) = (url(branch, "confirm"), url(branch, "cancel"));
                let body = format!(
                    r#"{{"gid":"{number}","branch_id":"0{branch}","confirm":"{confirm}","cancel":"{cancel}","data":"{payload}"}}"#
                );
                post("registerBranch", &body)
            };
            let attempt = |branch| Step::post(participant, &format!("/{number}/{branch}/try"), "", CALL_BODY);
            let steps = vec![
                post("prepare", &whole),
                register(1),
                attempt(1),
                register(2),
                attempt(2),
                post("submit", &whole),
            ];
            (steps, Asked::Confirm)
        }
    };
    Errand { steps, ends_with: waits.then_some(last) }
}
