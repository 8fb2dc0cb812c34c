//! Whoever has prepared asks on a listener of its own, and nobody else is served there.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::double::ID;
use common::wire::{Answer, Wire};
use common::{Gateway, Setup, transactional};
use unanimo_gateway::Limits;

fn gateway(limits: Limits) -> Gateway {
    Setup { routes: vec![transactional("transfer", "/transfers")], limits, ..Setup::default() }.start()
}

fn ask(gateway: &Gateway, line: &str) -> Answer {
    let mut wire = Wire::connect(gateway.inquiries);
    wire.send(format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n"));
    wire.answer()
}

#[test]
fn an_inquiry_is_answered_with_one_word() {
    let gateway = gateway(Limits::default());
    let answer = ask(&gateway, &format!("GET /inquiries/{ID}"));
    assert_eq!((answer.status(), answer.text()), (200, "commit"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("unanimo-transaction"), Some(ID.to_string().as_str()));
    let answer = ask(&gateway, &format!("GET /inquiries/{}", unanimo_contract::Id::from_bits(5)));
    assert_eq!((answer.status(), answer.text()), (200, "not-mine"));
}

#[test]
fn nothing_else_is_served_there_and_no_inquiry_elsewhere() {
    let gateway = gateway(Limits::default());
    for (line, status, problem) in [
        ("GET /inquiries/nobody", 400, "bad-request"),
        ("GET /transfers", 404, "no-route"),
        ("GET /problems/refused", 404, "no-route"),
        ("GET /transactions/x.y", 404, "no-route"),
        (&format!("DELETE /inquiries/{ID}"), 405, "method-not-allowed"),
    ] {
        let answer = ask(&gateway, line);
        assert_eq!((answer.status(), answer.problem().as_str()), (status, problem), "{line}");
    }
    let answer = gateway.ask(&format!("GET /inquiries/{ID} HTTP/1.1\r\nhost: a\r\n\r\n"));
    assert_eq!(answer.problem(), "no-route");
}

#[test]
fn clients_that_take_every_connection_are_not_in_the_way() {
    let gateway = gateway(Limits { connections: 2, ..Limits::default() });
    let crowd: Vec<Wire> = (0..5).map(|_| gateway.connect()).collect();
    assert_eq!(ask(&gateway, &format!("GET /inquiries/{ID}")).text(), "commit");
    drop(crowd);
}
