//! Sends a file over loopback, by `sendfile` and by read and write; the cheaper of the two counts.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Instant;

use nix::sys::sendfile::sendfile;

use super::BareRun;
use super::thread_cpu::thread_cpu;
use crate::CliError;
use crate::bench::joined;

/// How the bytes get from the file to the socket.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Within the kernel.
    Sendfile,
    /// Through a buffer.
    ReadAndWrite,
}

/// Sends a file of `bytes` bytes in `directory` in pieces of `piece`, each way once, and returns the run with the less CPU
/// time. The file is made before and deleted after.
///
/// # Errors
/// If a socket or the file fails.
pub(in crate::bench) fn send_file(directory: &Path, bytes: u64, piece: usize) -> Result<BareRun, CliError> {
    let path = directory.join("levada-bench-send");
    let failed = || CliError::io(format!("bare loop at {}", path.display()));
    fill(&path, bytes, piece).map_err(failed())?;
    let by = |way| File::open(&path).map_err(failed()).and_then(|file| send(&file, bytes, piece, way));
    let runs = by(Way::Sendfile).and_then(|first| Ok([first, by(Way::ReadAndWrite)?]));
    fs::remove_file(&path).map_err(failed())?;
    let [first, second] = runs?;
    Ok(if first.cpu <= second.cpu { first } else { second })
}

fn fill(path: &Path, bytes: u64, piece: usize) -> io::Result<()> {
    let mut file = File::create(path)?;
    let buffer = vec![7; piece];
    let mut left = bytes;
    while left > 0 {
        let now = piece.min(usize::try_from(left).unwrap_or(piece));
        file.write_all(&buffer[..now])?;
        left -= now as u64;
    }
    Ok(())
}

fn send(file: &File, bytes: u64, piece: usize, way: Way) -> Result<BareRun, CliError> {
    let failed = || CliError::io("bare loop that sends a file");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let socket = TcpStream::connect(address).map_err(failed())?;
            drain(socket, piece).map_err(failed())
        });
        let sender = scope.spawn(move || {
            let (socket, _) = listener.accept().map_err(failed())?;
            let mut buffer = vec![0; piece];
            let (start, cpu) = (Instant::now(), thread_cpu()?);
            match way {
                Way::Sendfile => by_sendfile(&socket, file, bytes, piece),
                Way::ReadAndWrite => by_read_and_write(&socket, file, bytes, &mut buffer),
            }
            .map_err(failed())?;
            let run = BareRun { bytes, cpu: thread_cpu()?.saturating_sub(cpu), elapsed: start.elapsed() };
            socket.shutdown(Shutdown::Write).map_err(failed())?;
            Ok(run)
        });
        let run = joined(sender)?;
        let received = joined(reader)?;
        if received != bytes {
            return Err(CliError::Failed(format!("the bare loop sent {bytes} bytes and {received} arrived")));
        }
        Ok(run)
    })
}

fn by_sendfile(socket: &TcpStream, file: &File, bytes: u64, piece: usize) -> io::Result<()> {
    let mut at = 0;
    while u64::try_from(at).is_ok_and(|at| at < bytes) {
        if sendfile(socket, file, Some(&mut at), piece)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

fn by_read_and_write(mut socket: &TcpStream, file: &File, bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
    let mut at = 0;
    while at < bytes {
        let read = file.read_at(buffer, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        socket.write_all(&buffer[..read])?;
        at += read as u64;
    }
    Ok(())
}

/// Reads to the end and returns how many bytes came.
fn drain(mut socket: TcpStream, piece: usize) -> io::Result<u64> {
    let mut buffer = vec![0; piece];
    let mut total = 0;
    loop {
        match socket.read(&mut buffer)? {
            0 => return Ok(total),
            read => total += read as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_send_the_whole_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fill(&path, 300_001, 4_096).unwrap();
        let file = File::open(&path).unwrap();
        for way in [Way::Sendfile, Way::ReadAndWrite] {
            assert_eq!(send(&file, 300_001, 10_000, way).unwrap().bytes, 300_001, "{way:?}");
        }
        assert!(send(&file, 300_002, 10_000, Way::Sendfile).is_err(), "a file that is too short is noticed");
    }

    #[test]
    fn the_file_is_gone_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(send_file(directory.path(), 100_000, 8_192).unwrap().bytes, 100_000);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
