//! Streams of datagrams from the peer, for as long as a test wants them.

use crate::world::{HOST4, PEER4, on_peer};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Sends to each of some ports in turn, with a pause after each turn; how many to each.
pub fn send_until(stop: &AtomicBool, ports: &[u16], pause: Duration) -> u64 {
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
        let mut sent = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            for &port in ports {
                socket.send_to(&sent.to_be_bytes(), (HOST4, port)).expect("sent");
            }
            sent += 1;
            std::thread::sleep(pause);
        }
        sent
    })
}

/// How many a socket receives until nothing comes any more.
pub fn receive_until(socket: &UdpSocket, stop: &AtomicBool) -> u64 {
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let mut received = 0;
    loop {
        if socket.recv(&mut [0; 8]).is_ok() {
            received += 1;
        } else if stop.load(Ordering::Relaxed) {
            return received;
        }
    }
}
