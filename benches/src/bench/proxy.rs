//! What a plain request costs, against nginx: one worker each, kept connections on both sides, 1 KB of answer.
//!
//! Both tell the service the same (`Host`, `Via` and `X-Forwarded-…`), and both count what they do: ours with its
//! metrics, nginx without its log.

use super::Context;
use crate::clock;
use crate::gateway::{Gateway, Setup, free_address};
use crate::load::World;
use crate::place::Place;
use crate::process::Process;
use crate::report::Report;
use crate::rounds::{self, Contestant, Pace, ratio, spread};
use crate::table::Table;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub const NAME: &str = "proxy";

const CLIENTS: [usize; 3] = [16, 64, 256];

const REQUEST: &[u8] = b"GET /articles/17?page=2 HTTP/1.1\r\nhost: gateway\r\nuser-agent: bench\r\n\
                         accept: text/html,application/json\r\naccept-language: en\r\n\r\n";

/// How long nginx may take until it listens.
const START: Duration = Duration::from_secs(10);

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let mut world = World::new()?;
    let answer = answer();
    let service = world.serve(move |_| Some(answer))?;
    let setup = Setup { configuration: configuration(service), ..Setup::default() };
    let core = context.cores.measured;
    let ours = Gateway::start(&context.program, &setup, &place.path().join("gateway"), core)?;
    let nginx = Nginx::start(service, &place.path().join("nginx"), core)?;
    let mut report = Report::new(NAME);
    let mut table = Table::new(
        "proxy: a plain request against nginx (median, least to most of all rounds)",
        &[
            "clients",
            "CPU us",
            "CPU us nginx",
            "ratio",
            "range",
            "requests/s",
            "nginx/s",
            "p50 ms",
            "p99 ms",
            "busy",
            "load core",
        ],
    );
    for clients in CLIENTS.into_iter().filter(|clients| context.wants(&format!("{clients} clients"))) {
        let contestants = [
            ours.contestant(REQUEST),
            Contestant { pid: nginx.process.pid(), target: nginx.address, request: REQUEST },
        ];
        let samples = rounds::take(&mut world, &contestants, clients, pace(context, clients), context.cores)?;
        let [ours, nginx] = [&samples[0], &samples[1]].map(Vec::as_slice);
        let cpu = ratio(ours, nginx, |s| s.cpu_us);
        table.row(vec![
            clients.to_string(),
            format!("{:.1}", spread(ours, |s| s.cpu_us).median),
            format!("{:.1}", spread(nginx, |s| s.cpu_us).median),
            format!("{:.2}", cpu.median),
            format!("{:.2} to {:.2}", cpu.least, cpu.most),
            format!("{:.0}", spread(ours, |s| s.per_second).median),
            format!("{:.0}", spread(nginx, |s| s.per_second).median),
            format!("{:.2}", spread(ours, |s| s.p50_us).median / 1000.0),
            format!("{:.2}", spread(ours, |s| s.p99_us).median / 1000.0),
            format!(
                "{:.0}, {:.0} %",
                100.0 * spread(ours, |s| s.busy).median,
                100.0 * spread(nginx, |s| s.busy).median
            ),
            format!("{:.0} %", 100.0 * spread(ours, |s| s.load_core).median),
        ]);
        rounds::report("gateway", clients, ours, &mut report);
        rounds::report("nginx", clients, nginx, &mut report);
        report.add("gateway / nginx", clients, ("CPU ratio", cpu.median, "ratio"));
        report.add("gateway / nginx", clients, ("CPU ratio least", cpu.least, "ratio"));
        report.add("gateway / nginx", clients, ("CPU ratio most", cpu.most, "ratio"));
    }
    println!("{}", table.text(context.markdown));
    report.write(&context.directory)
}

/// An answer with 1 KB of body, made once.
fn answer() -> &'static [u8] {
    let body = "x".repeat(1024);
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n", body.len());
    Box::leak((head + &body).into_bytes().into_boxed_slice())
}

fn configuration(service: SocketAddr) -> String {
    format!(
        "services:\n  web: {{ endpoints: [\"{service}\"], idle_connections: 256 }}\nroutes:\n  - name: web\n    \
         match: {{ prefix: / }}\n    proxy: {{ service: web }}\n"
    )
}

fn pace(context: &Context, clients: usize) -> Pace {
    let (rounds, window_ms) = match (context.quick, clients) {
        (true, _) => (1, 250),
        (false, 64) => (9, 1000),
        (false, _) => (3, 700),
    };
    Pace { rounds, warm: Duration::from_millis(window_ms / 4), window: Duration::from_millis(window_ms) }
}

/// A running nginx with one process.
struct Nginx {
    process: Process,
    address: SocketAddr,
}

impl Nginx {
    fn start(service: SocketAddr, directory: &Path, core: usize) -> io::Result<Nginx> {
        fs::create_dir_all(directory)?;
        let address = free_address()?;
        let file = directory.join("nginx.conf");
        fs::write(&file, nginx_configuration(service, address, directory))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory).arg("-c").arg(&file).stdin(Stdio::null());
        let output = fs::File::create(directory.join("nginx.log"))?;
        command.stdout(output.try_clone()?).stderr(output);
        let mut nginx = Nginx { process: Process::start(&mut command, core)?, address };
        let late = clock::now() + START;
        while TcpStream::connect(address).is_err() {
            nginx.process.check()?;
            if clock::now() > late {
                return Err(io::Error::other("nginx does not begin to listen"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }
}

fn nginx_configuration(service: SocketAddr, address: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {directory}/{kind};\n"))
        .concat();
    format!(
        "daemon off; master_process off; worker_processes 1;\npid {directory}/nginx.pid; error_log stderr error;\n\
         events {{ worker_connections 4096; }}\nhttp {{\naccess_log off;\n{temporary}\
         upstream web {{ server {service}; keepalive 256; keepalive_requests 1000000000; }}\n\
         server {{\nlisten {address}; keepalive_requests 1000000000;\nlocation / {{\nproxy_pass http://web;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_set_header Host $http_host;\n\
         proxy_set_header Via \"1.1 nginx\";\nproxy_set_header X-Forwarded-For $remote_addr;\n\
         proxy_set_header X-Forwarded-Proto http;\nproxy_set_header X-Forwarded-Host $http_host;\n}}\n}}\n}}\n"
    )
}
