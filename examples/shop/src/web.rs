//! The calls, as HTTP: who may call, what is asked, and how each answer is told.
//!
//! `POST /<things>/<operation>` with `Unanimo-Transaction` and `Unanimo-Branch`. The operations of `tcc` and `two-phase`
//! reach the same three functions: try and prepare, confirm and commit, cancel and rollback. A saga's are act and
//! compensate.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Service;
use crate::barrier::{self, Answer, Branch, Refusal};
use crate::database::{Database, Error};
use crate::services::{self, shipping};

const BODY_BYTES_MAX: usize = 64 * 1024;
const NAME_BYTES_MAX: usize = 64;
const OUTCOME: &str = "unanimo-outcome";

#[derive(Clone)]
struct Shop {
    service: Service,
    database: Database,
    credential: std::sync::Arc<str>,
}

pub(crate) async fn serve(
    listener: TcpListener,
    service: Service,
    database: Database,
    credential: String,
) -> std::io::Result<()> {
    let things = match service {
        Service::Order => "orders",
        Service::Payment => "payments",
        Service::Shipping => "reservations",
        Service::Notification => "notifications",
    };
    let mut router = Router::new()
        .route(&format!("/{things}/{{operation}}"), post(operate))
        .route("/healthz", get(async || "ok\n"));
    if service == Service::Shipping {
        router = router.route("/stock/{sku}", get(stock));
    }
    let shop = Shop { service, database, credential: credential.into() };
    let router = router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(shop);
    // Without this, an answer waits for the gateway's delayed acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await
}

enum Operation {
    Hold,
    Confirm,
    Cancel,
    Act,
    Compensate,
}

/// A call whose sender is known and whose headers make sense.
struct Call {
    operation: Operation,
    branch: Branch,
    body: Bytes,
}

impl FromRequest<Shop> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, shop: &Shop) -> Result<Self, Response> {
        let headers = request.headers();
        if !authorised(headers, &shop.credential) {
            return Err(problem(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "this call needs the bearer token",
            ));
        }
        let named = request.uri().path().rsplit('/').next().unwrap_or_default();
        let operation = match named {
            "try" | "prepare" => Operation::Hold,
            "confirm" | "commit" => Operation::Confirm,
            "cancel" | "rollback" => Operation::Cancel,
            "act" => Operation::Act,
            "compensate" => Operation::Compensate,
            _ => return Err(problem(StatusCode::NOT_FOUND, "No such operation", named)),
        };
        if headers.get("unanimo-operation").is_some_and(|value| value != named) {
            return Err(bad_request("Unanimo-Operation and the path name different operations"));
        }
        let branch = name(headers, "unanimo-transaction")
            .and_then(|transaction| Ok(Branch { transaction, name: name(headers, "unanimo-branch")? }))
            .map_err(|detail| bad_request(&detail))?;
        let body = Bytes::from_request(request, shop).await.map_err(IntoResponse::into_response)?;
        Ok(Self { operation, branch, body })
    }
}

async fn operate(State(shop): State<Shop>, call: Call) -> Response {
    let Call { operation, branch, body } = call;
    let business = services::business(shop.service);
    let answer = shop.database.run(move |connection| match operation {
        Operation::Hold => barrier::hold(connection, &branch, |local| business.hold(local, &branch, &body)),
        Operation::Confirm => barrier::confirm(connection, &branch, |local| business.confirm(local, &branch)),
        Operation::Cancel => barrier::cancel(connection, &branch, |local| business.cancel(local, &branch)),
        Operation::Act => barrier::act(connection, &branch, |local| business.act(local, &branch, &body)),
        Operation::Compensate => {
            barrier::compensate(connection, &branch, |local| business.compensate(local, &branch))
        }
    });
    match answer.await {
        Ok(answer) => tell(answer),
        Err(error) => fail(error),
    }
}

/// How each answer is told. What has no `Unanimo-Outcome` is judged by its status: 404 to a confirm is a promise that
/// was lost, so the gateway raises an alarm and keeps asking.
fn tell(answer: Answer) -> Response {
    match answer {
        Answer::Done(body) => ([(OUTCOME, "done")], Json(body)).into_response(),
        Answer::Refused(Refusal { status, title, detail }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT);
            ([(OUTCOME, "refused")], problem(status, &title, &detail)).into_response()
        }
        Answer::NoSuchBranch => {
            problem(StatusCode::NOT_FOUND, "No such branch", "nothing is known of this branch here")
        }
    }
}

/// A failure is never told as a refusal: 503 with `Retry-After` means "later", 500 means "unknown".
fn fail(error: Error) -> Response {
    match error {
        Error::Busy => {
            let busy = problem(StatusCode::SERVICE_UNAVAILABLE, "Busy", "too many calls wait; try again");
            ([(RETRY_AFTER, "1")], busy).into_response()
        }
        Error::Stopped => problem(StatusCode::INTERNAL_SERVER_ERROR, "Stopping", "the service is stopping"),
        Error::Failed(error) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, "Database failed", &error.to_string())
        }
    }
}

async fn stock(State(shop): State<Shop>, Path(sku): Path<String>) -> Response {
    let wanted = sku.clone();
    match shop.database.run(move |connection| shipping::free(connection, &wanted)).await {
        Ok(Some(left)) => Json(json!({ "sku": sku, "left": left })).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "No such sku", &sku),
        Err(error) => fail(error),
    }
}

/// Compares the whole token in any case, so that the time taken does not tell how much of a guess was right.
fn authorised(headers: &HeaderMap, credential: &str) -> bool {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    token.is_some_and(|token| {
        let pairs = token.iter().zip(credential.as_bytes());
        let difference = pairs.fold(0, |difference, (a, b)| std::hint::black_box(difference | (a ^ b)));
        token.len() == credential.len() && difference == 0
    })
}

/// A name that is safe in a key, a log line and a Message-ID.
fn name(headers: &HeaderMap, header: &str) -> Result<String, String> {
    let name = headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(fits) {
        return Err(format!("{header} must have 1 to {NAME_BYTES_MAX} letters, digits, - or _"));
    }
    Ok(name.to_owned())
}

fn bad_request(detail: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, "Bad request", detail)
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    let body: Value = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    (status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
