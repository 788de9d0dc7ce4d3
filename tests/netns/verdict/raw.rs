//! Sockets for whole frames and whole packets: the only place of this test that speaks to the kernel without a wrapper.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Room for frames that were not read yet.
const ROOM: libc::c_int = 64 << 20;
/// No frame of these tests is longer.
const LONGEST: usize = 4096;

/// Sees all frames of an interface, and can send some.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
}

/// A frame that a [`Wire`] has seen.
#[derive(Clone, Debug)]
pub struct Passed {
    pub bytes: Vec<u8>,
    /// Sent by the host whose interface it is.
    pub outgoing: bool,
}

impl Wire {
    /// On an interface of the namespace that the thread is in.
    pub fn open(interface: &str) -> Self {
        let every = i32::from(u16::try_from(libc::ETH_P_ALL).expect("a protocol").to_be());
        let socket = open(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, every);
        let name = std::ffi::CString::new(interface).expect("a name");
        // SAFETY: the name ends with a zero, and is read only.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        assert_ne!(index, 0, "{interface} exists");
        // SAFETY: all zeros is a value of this plain structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).expect("a family");
        address.sll_protocol = u16::try_from(libc::ETH_P_ALL).expect("a protocol").to_be();
        address.sll_ifindex = i32::try_from(index).expect("a small number");
        // SAFETY: the address is of the size that is told.
        let status = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address)) };
        assert_eq!(status, 0, "{}", io::Error::last_os_error());
        make_room(&socket);
        Self { socket }
    }

    /// Puts a frame on the wire.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the buffer is of the size that is told.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(usize::try_from(sent).ok(), Some(frame.len()), "{}", io::Error::last_os_error());
    }

    /// All that passed since it was asked last.
    pub fn passed(&self) -> Vec<Passed> {
        let mut all = Vec::new();
        let mut buffer = [0_u8; LONGEST];
        loop {
            // SAFETY: all zeros is a value of this plain structure.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut from_len = size_of_val(&from);
            // SAFETY: buffer and address are of the sizes that are told.
            let read = unsafe {
                let from = (&raw mut from).cast();
                let fd = self.socket.as_raw_fd();
                libc::recvfrom(fd, buffer.as_mut_ptr().cast(), LONGEST, 0, from, &raw mut from_len)
            };
            let Ok(read) = usize::try_from(read) else {
                assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::WouldBlock);
                return all;
            };
            all.push(Passed { bytes: buffer[..read].to_vec(), outgoing: from.sll_pkttype == libc::PACKET_OUTGOING });
        }
    }
}

/// Sends packets with their IP header, by the routes of this host and through its OUTPUT.
#[derive(Debug)]
pub struct Sender {
    v4: OwnedFd,
    v6: OwnedFd,
}

impl Sender {
    pub fn open() -> Self {
        let of = |family| open(family, libc::SOCK_RAW, libc::IPPROTO_RAW);
        let sender = Self { v4: of(libc::AF_INET), v6: of(libc::AF_INET6) };
        set(&sender.v4, libc::SO_BROADCAST, 1);
        sender
    }

    /// Sends a packet; the kernel refuses those that a rule drops, and those that no route takes.
    pub fn send(&self, packet: &[u8], to: IpAddr) {
        let (fd, address) = match to {
            IpAddr::V4(to) => {
                let [a, b, c, d] = to.octets();
                let mut address = [0_u8; 28];
                address[..2].copy_from_slice(&u16::try_from(libc::AF_INET).expect("a family").to_ne_bytes());
                address[4..8].copy_from_slice(&[a, b, c, d]);
                (&self.v4, address)
            }
            IpAddr::V6(to) => {
                let mut address = [0_u8; 28];
                address[..2].copy_from_slice(&u16::try_from(libc::AF_INET6).expect("a family").to_ne_bytes());
                address[8..24].copy_from_slice(&to.octets());
                (&self.v6, address)
            }
        };
        let len = if to.is_ipv4() { size_of::<libc::sockaddr_in>() } else { size_of::<libc::sockaddr_in6>() };
        let len = libc::socklen_t::try_from(len).expect("28 at most");
        // SAFETY: packet and address are of the sizes that are told.
        let _ = unsafe {
            libc::sendto(fd.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0, address.as_ptr().cast(), len)
        };
    }
}

/// Lets a socket hold what was not read yet, however much that is.
pub fn make_room(socket: &impl AsRawFd) {
    set(socket, libc::SO_RCVBUFFORCE, ROOM);
}

fn set(socket: &impl AsRawFd, option: libc::c_int, value: libc::c_int) {
    // SAFETY: the value is an int, of the size that is told.
    let status = unsafe {
        let value_at = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value_at, size_of_val(&value))
    };
    assert_eq!(status, 0, "{}", io::Error::last_os_error());
}

fn open(family: i32, kind: i32, protocol: i32) -> OwnedFd {
    // SAFETY: socket returns a descriptor that nobody else has, or -1.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: see above.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The size of a value, as the kernel is told it.
fn size_of_val<T>(value: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(std::mem::size_of_val(value)).expect("a small structure")
}
