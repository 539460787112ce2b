//! Whoever takes over the process that reads XML: what they would do next, and what becomes of that.
//!
//! Each test runs this very test program in the place of `usher read-saml`, locked down by the same call. There it does what it should not be able
//! to; and the next sign-in, of the same reader, works.

use std::{
    ffi::OsString,
    fs::File,
    io::Write as _,
    net::{TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    process::Command,
};

use usher::identity::saml::{Unread, sandbox};

use super::brought::{Desk, reader, said};
use usher::service::sign_in::Brought;

/// What an escape is told by: no environment comes along.
const MARK: &str = "escape=";

/// What is tried, once it is locked down. Whatever this comes back with, it was not ended.
fn escape(way: &str) {
    match way {
        "nothing" => {}
        "tcp" => drop(TcpStream::connect("127.0.0.1:1")),
        "udp" => drop(UdpSocket::bind("127.0.0.1:0")),
        "unix" => drop(UnixStream::connect("/run/none")),
        "read" => drop(File::open("/etc/hostname")),
        "write" => drop(File::create("/tmp/usher-escaped")),
        "memory of others" => drop(File::open("/proc/1/mem")),
        "exec" => drop(Command::new("/bin/true").spawn()),
        "thread" => drop(std::thread::Builder::new().spawn(|| ())),
        // Four times of what it may have.
        "memory" => drop((0..32).map(|_| std::hint::black_box(vec![1_u8; 64 << 20])).collect::<Vec<_>>()),
        "processor" => {
            let mut number = 0_u64;
            while number < u64::MAX {
                number = std::hint::black_box(number + 1);
            }
        }
        other => panic!("{other}"),
    }
}

/// The other side: as a test of this program it does nothing.
#[test]
fn inside_of_the_sandbox() {
    let Some(way) = std::env::args().find_map(|argument| argument.strip_prefix(MARK).map(str::to_owned))
    else {
        return;
    };
    sandbox::lock_down().unwrap();
    escape(&way);
    std::io::stdout().write_all(b"escaped").unwrap();
}

async fn tried(way: &str) -> Result<Vec<u8>, Unread> {
    let inside = "signin::saml::escapes::inside_of_the_sandbox";
    let arguments = [inside, &format!("{MARK}{way}"), "--test-threads=1", "--nocapture"].map(OsString::from);
    reader().but(std::env::current_exe().unwrap(), arguments.to_vec()).run(b"").await
}

/// Somebody signs in.
async fn signs_in() {
    let desk = Desk::new(reader()).await;
    let (handle, relay_state, id) = desk.gone("mine").await;
    let brought = Brought { response: said(&id, "_a"), relay_state };
    desk.one.bring(&handle, &brought).await.unwrap();
}

/// The kernel ends it for what it asked.
async fn is_ended_by(way: &str, signal: &str) {
    let Err(Unread::Ended(how)) = tried(way).await else { panic!("{way}: it went on") };
    assert!(how.contains(signal), "{way}: {how}");
    signs_in().await;
}

#[tokio::test]
async fn whoever_does_nothing_forbidden_comes_to_their_end() {
    let said = tried("nothing").await.unwrap();
    assert!(String::from_utf8_lossy(&said).contains("escaped"), "the twin: what is tried is tried");
}

#[tokio::test]
async fn there_is_no_socket() {
    for way in ["tcp", "udp", "unix"] {
        is_ended_by(way, "SIGSYS").await;
    }
}

#[tokio::test]
async fn there_is_no_file() {
    for way in ["read", "write", "memory of others"] {
        is_ended_by(way, "SIGSYS").await;
    }
}

#[tokio::test]
async fn there_is_no_other_program_and_no_thread() {
    for way in ["exec", "thread"] {
        is_ended_by(way, "SIGSYS").await;
    }
}

#[tokio::test]
async fn memory_and_processor_time_have_an_end() {
    is_ended_by("memory", "SIG").await;
    is_ended_by("processor", "SIG").await;
}
