//! The Debian package, as a machine gets it: installed below a root of its own, started as systemd would, asked, ended,
//! removed and purged.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const CONFIGURATION: &str = "etc/unanimo/unanimo.yaml";
const STATE: &str = "var/lib/unanimo";

#[test]
fn it_is_installed_serves_and_leaves_nothing_but_data_until_it_is_purged() {
    let id = ran(Command::new("id").arg("-u"));
    assert_eq!(
        id.trim(),
        "0",
        "this test needs root: it installs for another root, and serves as another user"
    );
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new(folder.path());
    let package = machine.package(folder.path());

    machine.dpkg(&["--install", package.to_str().unwrap()]);
    let (user, group) = machine.user();
    let owner = |path: &str| {
        let metadata = fs::metadata(machine.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    assert_eq!(owner("usr/bin/unanimo"), (0, 0, 0o755));
    assert_eq!(owner(STATE), (user, group, 0o700));
    assert_eq!(owner("etc/unanimo"), (0, group, 0o750));
    for file in [
        "usr/lib/systemd/system/unanimo.service",
        "usr/share/man/man1/unanimo.1",
        "usr/share/man/man1/unanimo-run.1",
        "usr/share/bash-completion/completions/unanimo",
        "usr/share/zsh/vendor-completions/_unanimo",
        "usr/share/fish/vendor_completions.d/unanimo.fish",
    ] {
        assert_eq!(owner(file), (0, 0, 0o644), "{file}");
        assert!(fs::read_to_string(machine.at(file)).unwrap().contains("unanimo"), "{file}");
    }
    machine.lend_libraries();
    assert!(
        machine.run(&["check", &format!("/{CONFIGURATION}")]).status.success(),
        "it is right as it comes"
    );

    let participant = participant();
    let [public, admin] = [free(), free()];
    machine.configure(participant, public, admin);
    let mut service = Service::start(&machine, (user, group));
    assert_eq!(service.heard(), "READY=1\nSTATUS=serving");
    assert_eq!(service.heard(), "WATCHDOG=1", "and it goes on saying that it lives");
    assert!(machine.run(&["health", "--admin", &admin.to_string()]).status.success());
    let answer = post(public, "/example", r#"{"order":7}"#);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    service.terminate();

    let journal = machine.at(STATE).join("journal/manifest");
    assert!(journal.exists());
    machine.dpkg(&["--remove", "unanimo"]);
    assert!(!machine.at("usr/bin/unanimo").exists() && !machine.at("usr/share/man/man1/unanimo.1").exists());
    assert!(journal.exists() && machine.at(CONFIGURATION).exists(), "a removal keeps data and configuration");
    machine.dpkg(&["--purge", "unanimo"]);
    assert!(!machine.at(STATE).exists() && !machine.at("etc/unanimo").exists(), "a purge keeps neither");
}

/// A root with nothing in it but what dpkg demands.
struct Machine {
    root: PathBuf,
}

impl Machine {
    fn new(folder: &Path) -> Machine {
        let root = folder.join("root");
        for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log", "etc", "tmp"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["var/lib/dpkg/status", "etc/passwd", "etc/group"] {
            fs::write(root.join(file), "").unwrap();
        }
        Machine { root }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Packages the program that is tested; gives the package.
    fn package(&self, folder: &Path) -> PathBuf {
        let out = folder.join("dist");
        let mut dist = Command::new(env!("CARGO_BIN_EXE_xtask"));
        ran(dist.arg("dist").arg("--program").arg(program()).arg("--out").arg(&out));
        let mut sums = Command::new("sha256sum");
        ran(sums.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&out));
        let names = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().find(|path| path.extension().is_some_and(|it| it == "deb")).expect("a package")
    }

    fn dpkg(&self, arguments: &[&str]) {
        let mut dpkg = Command::new("dpkg");
        // There is no shell below this root, and none of the packages that every machine has.
        dpkg.arg(format!("--root={}", self.root.display()));
        ran(dpkg.args(["--force-script-chrootless", "--force-depends"]).args(arguments));
    }

    fn user(&self) -> (u32, u32) {
        let users = fs::read_to_string(self.at("etc/passwd")).unwrap();
        let line =
            users.lines().find(|line| line.starts_with("unanimo:")).expect("the package makes its user");
        let fields: Vec<_> = line.split(':').collect();
        (fields[2].parse().unwrap(), fields[3].parse().unwrap())
    }

    /// What is given away is static; what is tested may need the system's libraries.
    fn lend_libraries(&self) {
        let output = Command::new("ldd").arg(self.at("usr/bin/unanimo")).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        for library in said.split_whitespace().filter(|word| word.starts_with('/')) {
            let place = self.at(library.trim_start_matches('/'));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(library, place).unwrap();
        }
    }

    /// As an operator would, in the file that came.
    fn configure(&self, participant: SocketAddr, public: SocketAddr, admin: SocketAddr) {
        let mut text = fs::read_to_string(self.at(CONFIGURATION)).unwrap();
        for (from, to) in [
            ("127.0.0.1:9000", participant.to_string()),
            ("127.0.0.1:8080", public.to_string()),
            ("127.0.0.1:8081", admin.to_string()),
            ("/var/lib/unanimo/journal", "/var/lib/unanimo/journal, accept_ephemeral: true".to_owned()),
        ] {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, &to);
        }
        fs::write(self.at(CONFIGURATION), text).unwrap();
    }

    fn chroot(&self) -> Command {
        let mut chroot = Command::new("chroot");
        chroot.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null());
        chroot
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut chroot = self.chroot();
        chroot.arg(&self.root).arg("/usr/bin/unanimo").args(arguments).output().unwrap()
    }
}

/// The gateway, and the manager that started it.
struct Service {
    child: Child,
    manager: UnixDatagram,
}

impl Service {
    fn start(machine: &Machine, (user, group): (u32, u32)) -> Service {
        let name = format!("unanimo-package-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut chroot = machine.chroot();
        chroot.arg(format!("--userspec={user}:{group}")).arg(&machine.root);
        chroot.args(["/usr/bin/unanimo", "run", &format!("/{CONFIGURATION}")]);
        let child =
            chroot.env("NOTIFY_SOCKET", format!("@{name}")).env("WATCHDOG_USEC", "200000").spawn().unwrap();
        Service { child, manager }
    }

    fn heard(&self) -> String {
        let mut word = [0; 256];
        let length = self.manager.recv(&mut word).expect("the gateway says how far it is");
        String::from_utf8(word[..length].to_vec()).unwrap()
    }

    fn terminate(&mut self) {
        ran(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        while self.heard() == "WATCHDOG=1" {}
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that is to be packaged: the one of the release, or else one that is built now.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("UNANIMO_PROGRAM") {
        return program.into();
    }
    ran(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "unanimo"]));
    Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("unanimo")
}

/// Says yes to everything, for as long as the test runs.
fn participant() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || agree(stream));
        }
    });
    address
}

fn agree(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        reader.get_mut().write_all(answer).ok()?;
    }
}

fn post(address: SocketAddr, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// An address that nobody has at this moment.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
