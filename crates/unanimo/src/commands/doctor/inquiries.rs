//! `inquiry-address`: whether participants that ask reach the address that they are told.

use super::finding::{Check, Finding};
use super::reach;
use crate::commands::units::milliseconds;
use crate::config::{Config, ParticipantsConfig};
use http::Uri;
use std::net::{IpAddr, SocketAddr};

/// What participants are told to use where the URL names no port.
const HTTP: u16 = 80;

/// Nothing where no service asks.
pub async fn examine(config: &Config, is_running: bool) -> Option<Finding> {
    let participants = config.participants.as_ref()?;
    let asks = config.gateway.plans().flat_map(|plan| &plan.branches).filter(|branch| branch.asks);
    let services: Vec<&str> = asks.map(|branch| branch.service.as_str()).collect();
    if services.is_empty() {
        return None;
    }
    let told = Told::of(participants)?;
    let mut endpoints = services.iter().filter_map(|name| config.upstream.services.get(*name));
    let elsewhere = endpoints.find_map(|service| service.endpoints.iter().find(|it| !is_loopback(it)));
    if let Some(elsewhere) = elsewhere.filter(|_| is_loopback(&told.endpoint)) {
        return Some(Finding::fail(
            Check::InquiryAddress,
            format!("{} means, to the participant at {elsewhere}, its own machine", told.url),
            "say with `participants.url` how it reaches this one",
        ));
    }
    Some(told.judge(participants.address, is_running).await)
}

/// The address that participants are told.
struct Told {
    url: String,
    /// `host:port`.
    endpoint: String,
    port: u16,
}

impl Told {
    /// Nothing where the URL has no host: the configuration's reader has said so.
    fn of(participants: &ParticipantsConfig) -> Option<Told> {
        let url = participants.url.clone().unwrap_or_else(|| format!("http://{}", participants.address));
        let uri: Uri = url.parse().ok()?;
        let port = uri.port_u16().unwrap_or(HTTP);
        let endpoint = format!("{}:{port}", uri.host()?);
        Some(Told { url, endpoint, port })
    }

    async fn judge(&self, listens: SocketAddr, is_running: bool) -> Finding {
        const CHECK: Check = Check::InquiryAddress;
        let url = &self.url;
        match reach::connect(&self.endpoint, reach::PATIENCE).await {
            Err(error @ reach::Unreached::Unresolved(_)) => Finding::fail(
                CHECK,
                format!("{url}: {}", error.said()),
                "give the name an address, or correct `participants.url`",
            ),
            Ok(took) if is_running => {
                Finding::ok(CHECK, format!("{url} is reached in {}", milliseconds(took)))
            }
            Err(error) if is_running => Finding::fail(
                CHECK,
                format!("{url} {}, and the gateway runs", error.said()),
                format!("correct `participants.url`, or let what stands before {listens} pass it on"),
            ),
            _ if self.port != listens.port() => Finding::warn(
                CHECK,
                format!("{url} is told to participants, and the gateway will listen on {listens}"),
                "right where something in between passes it on; ask again while the gateway runs",
            ),
            _ => {
                Finding::ok(CHECK, format!("{url} is told to participants; not tried, since no gateway runs"))
            }
        }
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_many_names() {
        for (endpoint, expected) in [
            ("127.0.0.1:80", true),
            ("127.8.8.8:80", true),
            ("[::1]:80", true),
            ("localhost:80", true),
            ("10.0.0.1:80", false),
            ("bank.internal:80", false),
        ] {
            assert_eq!(is_loopback(endpoint), expected, "{endpoint}");
        }
    }

    #[test]
    fn what_participants_are_told_is_the_url_or_the_address() {
        let told = |url: Option<&str>| {
            let url = url.map(str::to_owned);
            let told = Told::of(&ParticipantsConfig { address: "[::1]:8082".parse().unwrap(), url }).unwrap();
            (told.endpoint, told.port)
        };
        assert_eq!(told(None), ("[::1]:8082".to_owned(), 8082));
        assert_eq!(told(Some("http://gateway.internal")), ("gateway.internal:80".to_owned(), 80));
        assert_eq!(told(Some("http://[::1]:9000")), ("[::1]:9000".to_owned(), 9000));
    }
}
