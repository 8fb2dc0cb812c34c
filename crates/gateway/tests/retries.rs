//! Plain requests that are sent again: only those that may be, while nothing was passed on, and within the budget.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::service::Service;
use common::{Gateway, Setup};
use http::Method;
use std::time::Duration;
use unanimo_contract::budget::Allowance;
use unanimo_gateway::{Action, RetryConfig};

const ILL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nill";
const GET: &str = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";

fn gateway(services: &[&Service], retry: RetryConfig, allowance: Allowance) -> Gateway {
    let mut setup = Setup::forwarding(services[0].address);
    setup.service.endpoints = services.iter().map(|service| service.address.to_string()).collect();
    setup.limits.retries = allowance;
    for route in &mut setup.routes {
        if let Action::Proxy(proxy) = &mut route.action {
            proxy.retry = Some(retry.clone());
            proxy.timeout = Duration::from_secs(3);
        }
    }
    setup.start()
}

fn retries(gateway: &Gateway) -> [f64; 3] {
    ["answered", "failed", "withheld"].map(|outcome| {
        gateway.metric(&format!("gateway_retries_total{{route=\"all\",outcome=\"{outcome}\"}}"))
    })
}

/// How many requests it was asked since somebody looked.
fn asked(service: &Service) -> usize {
    let mut count = 0;
    while !service.saw_nothing() {
        count += 1;
    }
    count
}

#[test]
fn another_endpoint_takes_what_one_fails() {
    let (well, ill) = (Service::ok(), Service::answering(ILL));
    let gateway = gateway(&[&well, &ill], RetryConfig::default(), Allowance::default());
    for _ in 0..10 {
        assert_eq!(gateway.ask(GET).text(), "ok");
    }
    assert_eq!((asked(&well), asked(&ill)), (10, 5));
    assert_eq!(retries(&gateway), [5.0, 0.0, 0.0]);
}

#[test]
fn a_try_that_takes_too_long_or_breaks_is_followed_by_another() {
    let silent = Service::start(|wire, seen| {
        seen(wire.request());
        wire.assert_closed();
    });
    let broken = Service::start(|wire, seen| seen(wire.request()));
    let well = Service::ok();
    let per_try_timeout = Some(Duration::from_millis(100));
    let retry = RetryConfig { attempts: 2, per_try_timeout, ..RetryConfig::default() };
    let gateway = gateway(&[&silent, &broken, &well], retry, Allowance::default());
    for _ in 0..6 {
        assert_eq!(gateway.ask(GET).text(), "ok");
    }
    assert_eq!(asked(&well), 6);
    assert!(asked(&silent) > 0 && asked(&broken) > 0);
}

#[test]
fn what_may_not_arrive_twice_is_sent_once() {
    let ill = Service::answering(ILL);
    let gateway = gateway(&[&ill], RetryConfig::default(), Allowance::default());
    for request in [
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
        "DELETE / HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ] {
        assert_eq!(gateway.ask(request).text(), "ill");
        assert_eq!(asked(&ill), 1, "{request}");
    }
    assert_eq!(retries(&gateway), [0.0; 3]);
    assert_eq!(gateway.ask(GET).text(), "ill");
    assert_eq!((asked(&ill), retries(&gateway)), (2, [0.0, 1.0, 0.0]));
}

#[test]
fn a_short_body_is_sent_again_whole_and_a_long_one_once() {
    let service = Service::ok();
    let ill = Service::answering(ILL);
    let retry = RetryConfig { methods: vec![Method::PUT], body_bytes: 5, ..RetryConfig::default() };
    let gateway = gateway(&[&service, &ill], retry, Allowance::default());
    let put = |body: &str| {
        gateway.ask(&format!("PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    };
    for _ in 0..4 {
        assert_eq!(put("12345").text(), "ok");
        assert_eq!(service.request().text(), "12345");
    }
    assert_eq!(asked(&ill), 2);
    let long: Vec<_> = (0..4).map(|_| put("123456").status()).collect();
    assert_eq!(long.iter().filter(|status| **status == 503).count(), 2, "{long:?}");
    // A body that does not come whole is no request at all.
    let (before, mut wire) = (asked(&service) + asked(&ill), gateway.connect());
    assert_eq!(before, 4);
    wire.send("PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n123");
    wire.finish_sending();
    wire.rest();
    assert_eq!(asked(&service) + asked(&ill), 0);
}

#[test]
fn a_service_that_fails_is_not_asked_ever_more_often() {
    let ill = Service::answering(ILL);
    // One token at the start, and a fifth for each first request.
    let allowance = Allowance { ratio: 0.2, per_second: 0.001 };
    let gateway = gateway(&[&ill], RetryConfig { attempts: 5, ..RetryConfig::default() }, allowance);
    for _ in 0..50 {
        assert_eq!(gateway.ask(GET).text(), "ill");
    }
    let [answered, failed, withheld] = retries(&gateway);
    assert_eq!(answered, 0.0);
    assert!((9.0..=11.0).contains(&failed), "{failed}");
    assert_eq!(withheld, 50.0);
    assert_eq!(asked(&ill), 50 + failed as usize);
}

#[test]
fn an_answer_that_has_begun_is_never_begun_again() {
    let service = Service::start(|wire, seen| {
        seen(wire.request());
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
    });
    let gateway =
        gateway(&[&service], RetryConfig { attempts: 5, ..RetryConfig::default() }, Allowance::default());
    let mut wire = gateway.connect();
    wire.send(GET);
    assert_eq!(wire.head().status(), 200);
    assert_eq!(wire.rest(), b"only this");
    assert_eq!((asked(&service), retries(&gateway)), (1, [0.0; 3]));
}

#[test]
fn all_tries_together_take_no_longer_than_the_route_allows() {
    let silent = Service::start(|wire, seen| {
        seen(wire.request());
        wire.assert_closed();
    });
    let per_try_timeout = Some(Duration::from_millis(1300));
    let retry = RetryConfig { attempts: 5, per_try_timeout, ..RetryConfig::default() };
    let gateway = gateway(&[&silent], retry, Allowance::default());
    assert_eq!(gateway.ask(GET).problem(), "gateway-timeout");
    assert_eq!(asked(&silent), 3);
}
