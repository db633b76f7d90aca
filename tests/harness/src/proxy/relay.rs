//! One connection through a proxy.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    select,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{Caller, Sky, Way};
use crate::seeded::Seeded;

/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How many pieces may be under way in each direction; a sender that is faster than the weather waits.
const PIECES: usize = 64;

/// A piece of the stream, and when it arrives.
struct Piece {
    bytes: Vec<u8>,
    due: Instant,
}

/// Passes everything between `client` and `upstream`, as the weather for this caller has it, until one of them ends the
/// connection or the weather does.
pub(super) async fn relay(
    mut client: TcpStream,
    upstream: SocketAddr,
    caller: Caller,
    sky: watch::Receiver<Sky>,
    random: Seeded,
) {
    let mut ending = sky.clone();
    let began_with = sky.borrow().resets(caller.source);
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        // As if nobody listened, which is the truth.
        return reset(&client);
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let passing = async {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let mut other = random.clone();
        other.number();
        tokio::try_join!(
            pass(Way::There, from_client, to_server, caller, sky.clone(), random),
            pass(Way::Back, from_server, to_client, caller, sky.clone(), other),
        )
    };
    let ended_well = select! {
        passed = passing => passed.is_ok(),
        _ = ending.wait_for(|sky| sky.resets(caller.source) != began_with) => false,
    };
    if !ended_well {
        reset(&client);
        reset(&server);
    }
}

/// Passes one direction until its end.
async fn pass(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    caller: Caller,
    mut sky: watch::Receiver<Sky>,
    mut random: Seeded,
) -> io::Result<()> {
    let (pieces, mut due) = mpsc::channel::<Piece>(PIECES);
    let weather = sky.clone();
    let reading = async move {
        let mut last = Instant::now();
        loop {
            let mut bytes = Vec::with_capacity(PIECE_BYTES);
            if from.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            let delay = weather.borrow().weather(caller.source).delay(random.number());
            last = last.max(Instant::now() + delay);
            if pieces.send(Piece { bytes, due: last }).await.is_err() {
                return Ok(());
            }
        }
    };
    let mut random = Seeded::new(PIECE_BYTES as u64);
    let writing = async {
        while let Some(Piece { bytes, due }) = due.recv().await {
            sleep_until(due).await;
            let weather = match sky.wait_for(|sky| !sky.is_stalled(way, caller)).await {
                Ok(sky) => sky.weather(caller.source),
                Err(_) => return Ok(()), // the proxy is gone
            };
            if weather.resets_per_mille > 0 && random.below(1000) < u64::from(weather.resets_per_mille) {
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            to.write_all(&bytes).await?;
            let pause = weather.pause(bytes.len());
            if pause > Duration::ZERO {
                sleep(pause).await;
            }
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

/// Has the connection end with a reset when it is dropped.
fn reset(stream: &TcpStream) {
    // A connection that cannot be told so ends like any other.
    let _ = stream.set_zero_linger();
}
