//! Listeners and dialers over TCP and in memory.

use levada_service::net::{Address, Listener, Network};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn echo_once(mut listener: Listener) {
    let mut connection = listener.accept().await.unwrap().unwrap();
    let mut word = [0; 5];
    connection.read_exact(&mut word).await.unwrap();
    connection.write_all(&word).await.unwrap();
    connection.shutdown().await.unwrap();
}

async fn echoes(network: &Network, address: Address) -> Vec<u8> {
    let listener = network.bind(&address).await.unwrap();
    let dialer = network.dialer(listener.address().unwrap());
    let server = tokio::spawn(echo_once(listener));
    let mut connection = dialer.connect().await.unwrap();
    connection.write_all(b"hello").await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    server.await.unwrap();
    answer
}

#[tokio::test]
async fn both_kinds_of_address_carry_bytes_both_ways() {
    let network = Network::new();
    assert_eq!(echoes(&network, "127.0.0.1:0".parse().unwrap()).await, b"hello");
    assert_eq!(echoes(&network, Address::memory("broker-1")).await, b"hello");
}

#[tokio::test]
async fn a_name_is_taken_while_its_listener_lives() {
    let network = Network::new();
    let address = Address::memory("controller-1");
    let listener = network.bind(&address).await.unwrap();
    let refused = network.bind(&address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
    drop(listener);
    network.bind(&address).await.unwrap();
}

#[tokio::test]
async fn nothing_listens_in_another_network_or_behind_a_dropped_listener() {
    let network = Network::new();
    let address = Address::memory("controller-1");
    let listener = network.bind(&address).await.unwrap();
    let elsewhere = Network::new().dialer(address.clone()).connect().await.unwrap_err();
    assert_eq!(elsewhere.kind(), std::io::ErrorKind::ConnectionRefused);
    drop(listener);
    let gone = network.dialer(address).connect().await.unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::ConnectionRefused);
}
