//! Receives from loopback and appends to a file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use super::BareRun;
use super::thread_cpu::thread_cpu;
use crate::CliError;
use crate::bench::joined;

/// Moves `bytes` bytes in pieces of `piece` from a socket to a new file in `directory`, which is deleted afterwards.
///
/// # Errors
/// If a socket or the file fails.
pub(in crate::bench) fn receive_and_append(directory: &Path, bytes: u64, piece: usize) -> Result<BareRun, CliError> {
    let path = directory.join("levada-bench-receive");
    let failed = || CliError::io(format!("bare loop at {}", path.display()));
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    let run = thread::scope(|scope| {
        let sender = scope.spawn(move || feed(TcpStream::connect(address)?, bytes, piece));
        let receiver = scope.spawn(|| {
            let (socket, _) = listener.accept().map_err(failed())?;
            let file = File::create(&path).map_err(failed())?;
            let mut buffer = vec![0; piece];
            let (start, cpu) = (Instant::now(), thread_cpu()?);
            append_all(socket, &file, &mut buffer).map_err(failed())?;
            Ok(BareRun { bytes, cpu: thread_cpu()?.saturating_sub(cpu), elapsed: start.elapsed() })
        });
        // What the receiver met is the cause of what the sender met.
        let run = joined(receiver)?;
        joined_io(sender).map_err(failed())?;
        Ok(run)
    });
    fs::remove_file(&path).map_err(failed())?;
    run
}

/// Sends `bytes` bytes in pieces of `piece`.
fn feed(mut socket: TcpStream, bytes: u64, piece: usize) -> io::Result<()> {
    let buffer = vec![7; piece];
    let mut left = bytes;
    while left > 0 {
        let now = piece.min(usize::try_from(left).unwrap_or(piece));
        socket.write_all(&buffer[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// The loop that counts: nothing but the two system calls.
fn append_all(mut socket: TcpStream, mut file: &File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let read = socket.read(buffer)?;
        if read == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..read])?;
    }
}

fn joined_io(thread: thread::ScopedJoinHandle<'_, io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the peer of the bare loop panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_moved_and_the_file_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let run = receive_and_append(directory.path(), 1_000_001, 4_096).unwrap();
        assert_eq!(run.bytes, 1_000_001);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_arrives_is_what_is_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let file = File::create_new(directory.path().join("file")).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || feed(TcpStream::connect(address).unwrap(), 10_000, 999).unwrap());
            append_all(listener.accept().unwrap().0, &file, &mut [0; 512]).unwrap();
        });
        assert_eq!(fs::read(directory.path().join("file")).unwrap(), vec![7; 10_000]);
    }
}
