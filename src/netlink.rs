//! Netlink: requests to the kernel, its answers and notifications, as messages and attributes.
//!
//! Knows the framing (`linux/netlink.h`) and nothing of what the families carry. Every length that comes in is
//! checked; what doesn't fit ends the message or the list of attributes, as the kernel's own parser does.

use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of the header of a message.
const HEADER: usize = size_of::<libc::nlmsghdr>();
/// Where in it the type stands.
const KIND_AT: u32 = 4;
/// Bytes of the header of an attribute.
const ATTRIBUTE_HEADER: usize = size_of::<libc::nlattr>();
/// Messages and attributes begin at multiples of this.
const ALIGN: usize = 4;
/// The longest datagram. The kernel makes those of a dump at most 32 KiB large, notifications much smaller.
pub const BUFFER: usize = 64 << 10;
/// The bit of an attribute's type that says that attributes are within (`NLA_F_NESTED`).
const NESTED: u16 = 1 << 15;
/// The bit of an attribute's type that says that its payload is in network byte order (`NLA_F_NET_BYTEORDER`).
pub const NETWORK_ORDER: u16 = 1 << 14;
/// The bits of an attribute's type that tell something about its payload (`NLA_TYPE_MASK`).
const TYPE_MASK: u16 = 0x3fff;

/// `NETLINK_GET_STRICT_CHK` (`linux/netlink.h`).
const GET_STRICT: libc::c_int = 12;

/// A netlink socket.
pub struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

/// What [`Socket::receive`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The messages of one datagram.
    Messages,
    /// Nothing was there.
    Nothing,
    /// The kernel had more to say than the socket's buffer holds (`ENOBUFS`), or than ours does: something is lost.
    Overrun,
}

impl Socket {
    /// Opens a socket of a family (`NETLINK_ROUTE`, ...) that gets the notifications of `groups`, a mask.
    pub fn open(family: i32, groups: u32) -> io::Result<Self> {
        let fd = sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, family)?;
        let mut address: libc::sockaddr_nl = sys::zeroed();
        // The constant has 16 bits.
        address.nl_family = libc::AF_NETLINK.try_into().unwrap_or(0);
        address.nl_groups = groups;
        sys::bind(fd.as_fd(), &address)?;
        Ok(Self { fd, buffer: vec![0; BUFFER], sequence: 0 })
    }

    /// Lets only datagrams that begin with a message of this type come in: the kernel drops all others. For sockets that
    /// wait for notifications: an answer is of another type.
    pub fn keep_only(&self, kind: u16) -> io::Result<()> {
        self.filter(kind, (u32::MAX, 0))
    }

    /// Has the kernel drop datagrams that begin with a message of this type.
    pub fn keep_out(&self, kind: u16) -> io::Result<()> {
        self.filter(kind, (0, u32::MAX))
    }

    /// Lets so many bytes in of datagrams that begin with a message of this type, and of others.
    fn filter(&self, kind: u16, (of_kind, of_others): (u32, u32)) -> io::Result<()> {
        let step = |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
        // A filter loads in network byte order what stands there in the machine's.
        let kind = u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
        let program = [
            step(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, KIND_AT),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, kind),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, of_others),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, of_kind),
        ];
        sys::attach_filter(self.as_fd(), &program)
    }

    /// Has the kernel take what a request for a list names for what is asked for (`NETLINK_GET_STRICT_CHK`): else some
    /// lists are of all that there is.
    ///
    /// # Errors
    ///
    /// On kernels before Linux 4.20.
    pub fn ask_for_the_named_alone(&self) -> io::Result<()> {
        sys::set_option(self.as_fd(), libc::SOL_NETLINK, GET_STRICT, &1_i32)
    }

    /// Asks for room for `bytes` of messages that wait to be read. The system's limit for users holds where the process
    /// may not exceed it. The kernel doubles the number, and counts its own bookkeeping against it.
    pub fn set_receive_buffer(&self, bytes: libc::c_int) -> io::Result<()> {
        let set = |name| sys::set_option(self.as_fd(), libc::SOL_SOCKET, name, &bytes);
        match set(libc::SO_RCVBUFFORCE) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => set(libc::SO_RCVBUF),
            result => result,
        }
    }

    /// Sends a request; the answers carry the number that is returned.
    pub fn send(&mut self, request: Request) -> io::Result<u32> {
        self.send_all([request])
    }

    /// Sends requests as one datagram, which the kernel works off in their order. They are numbered through; the answers
    /// to the last one carry the number that is returned.
    pub fn send_all(&mut self, requests: impl IntoIterator<Item = Request>) -> io::Result<u32> {
        let mut datagram = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            datagram.extend(request.finish(self.sequence));
        }
        sys::send(self.fd.as_fd(), &datagram)?;
        Ok(self.sequence)
    }

    /// Sends a request and hands out its answers, up to and without the one that ends them (`NLM_F_DUMP` or
    /// `NLM_F_ACK` asks for one).
    ///
    /// # Errors
    ///
    /// Whatever the kernel refuses the request with; `ENOBUFS` if answers were lost.
    pub fn ask(&mut self, request: Request, sink: &mut dyn FnMut(Message<'_>)) -> io::Result<()> {
        let asked = self.send(request)?;
        let mut end = None;
        while end.is_none() {
            let received = self.receive(true, &mut |message| {
                if message.sequence == asked && end.is_none() {
                    end = message.end();
                    if end.is_none() {
                        sink(message);
                    }
                }
            })?;
            if received == Received::Overrun {
                return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
            }
        }
        end.unwrap_or(Ok(()))
    }

    /// Receives one datagram and hands out its messages; without `wait` it returns at once if there is none.
    pub fn receive(&mut self, wait: bool, sink: &mut dyn FnMut(Message<'_>)) -> io::Result<Received> {
        let received: io::Result<(usize, libc::sockaddr_nl)> = sys::receive(self.fd.as_fd(), &mut self.buffer, wait);
        match received {
            // Another process may write to this socket, too.
            Ok((_, sender)) if sender.nl_pid != 0 => Ok(Received::Messages),
            Ok((len, _)) => match self.buffer.get(..len) {
                Some(datagram) => {
                    Messages(datagram).for_each(sink);
                    Ok(Received::Messages)
                }
                None => Ok(Received::Overrun),
            },
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(Received::Nothing),
                Some(libc::ENOBUFS) => Ok(Received::Overrun),
                _ => Err(error),
            },
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A request that is being built.
#[derive(Clone, Debug)]
pub struct Request {
    message: Vec<u8>,
}

impl Request {
    /// A message of this type; `NLM_F_REQUEST` is added to the flags.
    pub fn new(kind: u16, flags: i32) -> Self {
        // Flags have 16 bits.
        let flags = u16::try_from(flags | libc::NLM_F_REQUEST).unwrap_or(0);
        let mut message = vec![0; HEADER];
        put(&mut message, 4, &kind.to_ne_bytes());
        put(&mut message, 6, &flags.to_ne_bytes());
        Self { message }
    }

    /// Appends the fixed part of the family's message.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        append(&mut self.message, body);
        self
    }

    /// Appends an attribute.
    #[must_use]
    pub fn attribute(mut self, kind: u16, payload: &[u8]) -> Self {
        append_attribute(&mut self.message, kind, payload);
        self
    }

    /// Appends an attribute that holds the attributes which `inner` appends.
    #[must_use]
    pub fn nested(self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.message.len();
        let mut request = inner(self.attribute(kind | NESTED, &[]));
        let len = u16::try_from(request.message.len() - start).unwrap_or(0);
        put(&mut request.message, start, &len.to_ne_bytes());
        request
    }

    /// The bytes of the message as the request of this number.
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = u32::try_from(self.message.len()).unwrap_or(u32::MAX);
        put(&mut self.message, 0, &len.to_ne_bytes());
        put(&mut self.message, 8, &sequence.to_ne_bytes());
        self.message
    }
}

/// An attribute as it stands in a message.
pub fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_attribute(&mut bytes, kind, payload);
    bytes
}

/// Appends an attribute. One whose length can't be told in 16 bits is none that any family knows.
fn append_attribute(message: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let len = u16::try_from(ATTRIBUTE_HEADER + payload.len()).unwrap_or(0);
    message.extend_from_slice(&len.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    append(message, payload);
}

/// Appends bytes and what is missing to a whole unit.
fn append(message: &mut Vec<u8>, bytes: &[u8]) {
    message.extend_from_slice(bytes);
    message.resize(message.len().next_multiple_of(ALIGN), 0);
}

fn put(message: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(field) = message.get_mut(at..at + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

/// A message from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: u16,
    /// Its flags (`NLM_F_*`).
    pub flags: u16,
    /// The number of the request that it answers; 0 for a notification.
    pub sequence: u32,
    /// What stands behind the header.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The fixed part of `N` bytes, and the attributes behind it.
    pub fn split<const N: usize>(&self) -> Option<(&'a [u8; N], Attributes<'a>)> {
        let fixed = self.payload.first_chunk()?;
        Some((fixed, Attributes(self.payload.get(N.next_multiple_of(ALIGN)..).unwrap_or_default())))
    }

    /// How the request ended, if this message says it: `NLMSG_ERROR` (0 stands for success) or `NLMSG_DONE`.
    pub fn end(&self) -> Option<io::Result<()>> {
        let kind = i32::from(self.kind);
        if kind != libc::NLMSG_ERROR && kind != libc::NLMSG_DONE {
            return None;
        }
        let number = self.payload.first_chunk().map_or(0, |&bytes| i32::from_ne_bytes(bytes));
        Some(if number < 0 { Err(io::Error::from_raw_os_error(number.saturating_neg())) } else { Ok(()) })
    }
}

/// The messages of a datagram.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let &[l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, _, _, _, _] = self.0.first_chunk::<HEADER>()?;
        let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let payload = self.0.get(HEADER..len)?;
        self.0 = self.0.get(len.checked_next_multiple_of(ALIGN)?..).unwrap_or_default();
        Some(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        })
    }
}

/// An attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type, without the bits that say whether it is nested or in network byte order.
    pub kind: u16,
    /// Its value.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The value as a number of the machine's byte order.
    pub fn u32(&self) -> Option<u32> {
        self.payload.first_chunk().map(|&bytes| u32::from_ne_bytes(bytes))
    }

    /// The value as a number of the machine's byte order.
    pub fn u16(&self) -> Option<u16> {
        self.payload.first_chunk().map(|&bytes| u16::from_ne_bytes(bytes))
    }

    /// The value as text, up to its zero byte.
    pub fn text(&self) -> String {
        let text = self.payload.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// The attributes within.
    pub fn nested(&self) -> Attributes<'a> {
        Attributes(self.payload)
    }
}

/// A list of attributes; it ends at the first that doesn't fit into it.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let &[l0, l1, k0, k1] = self.0.first_chunk::<ATTRIBUTE_HEADER>()?;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let payload = self.0.get(ATTRIBUTE_HEADER..len)?;
        self.0 = self.0.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(Attribute { kind: u16::from_ne_bytes([k0, k1]) & TYPE_MASK, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        let request = Request::new(18, libc::NLM_F_DUMP).body(&[7; 5]).attribute(29, &[1, 2, 3]).finish(9);
        let mut expected = Vec::new();
        for number in [32_u32, 0x12 | 0x0301 << 16, 9, 0] {
            expected.extend(number.to_ne_bytes());
        }
        expected.extend([7, 7, 7, 7, 7, 0, 0, 0]);
        expected.extend([7_u16.to_ne_bytes(), 29_u16.to_ne_bytes()].concat());
        expected.extend([1, 2, 3, 0]);
        assert_eq!(request, expected);
    }

    #[test]
    fn what_a_request_holds_is_read_back() {
        let nested = [&[5_u8, 0, 1, 0, b'v', 0, 0, 0][..], &[8, 0, 2, 0, 1, 0, 0, 0]].concat();
        let first = Request::new(16, 0).body(&[1, 2, 3, 4]).attribute(3, b"eth0\0").finish(5);
        let second = Request::new(17, 0).body(&[5; 4]).attribute(0x8012, &nested).finish(6);
        let datagram = [first, second].concat();
        let messages: Vec<Message<'_>> = Messages(&datagram).collect();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].kind, messages[0].flags, messages[0].sequence), (16, 1, 5));
        let (fixed, mut attributes) = messages[0].split::<4>().unwrap();
        assert_eq!(fixed, &[1, 2, 3, 4]);
        let name = attributes.next().unwrap();
        assert_eq!((name.kind, name.text()), (3, "eth0".to_owned()));
        assert_eq!(attributes.next(), None);
        let (_, mut attributes) = messages[1].split::<4>().unwrap();
        let inner: Vec<_> = attributes.next().unwrap().nested().map(|inner| (inner.kind, inner.payload)).collect();
        assert_eq!(inner, [(1, &b"v"[..]), (2, &[1, 0, 0, 0])]);
    }

    #[test]
    fn attributes_within_attributes_are_laid_out_with_their_lengths() {
        let inner = |request: Request| request.attribute(1, &[7]).nested(2, |request| request.attribute(3, &[8, 9]));
        let request = Request::new(16, 0).body(&[0; 4]).nested(1, inner).attribute(4, &[]).finish(1);
        let message = Messages(&request).next().unwrap();
        let outer: Vec<_> = message.split::<4>().unwrap().1.collect();
        assert_eq!(outer.iter().map(|attribute| attribute.kind).collect::<Vec<_>>(), [1, 4]);
        let within: Vec<_> = outer[0].nested().collect();
        assert_eq!((within[0].kind, within[0].payload), (1, &[7][..]));
        let deepest: Vec<_> = within[1].nested().map(|attribute| (attribute.kind, attribute.payload)).collect();
        assert_eq!(deepest, [(3, &[8, 9][..])]);
    }

    #[test]
    fn lengths_that_lie_end_the_list() {
        let whole = Request::new(16, 0).body(&[1, 2, 3, 4]).finish(5);
        for len in [0_u32, 15, 21, u32::MAX] {
            let mut datagram = whole.clone();
            datagram[..4].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(Messages(&datagram).count(), 0, "{len}");
        }
        for len in [0_u16, 3, 9, u16::MAX] {
            let mut attributes = [8, 0, 1, 0, 1, 0, 0, 0];
            attributes[..2].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(Attributes(&attributes).count(), 0, "{len}");
        }
        // The last one needs no padding.
        assert_eq!(Attributes(&[5, 0, 1, 0, 7]).count(), 1);
    }

    #[test]
    fn an_end_is_told_with_its_error() {
        let message = |kind: i32, payload| Message { kind: kind.try_into().unwrap(), flags: 0, sequence: 1, payload };
        let refused = (-libc::EPERM).to_ne_bytes();
        assert_eq!(message(libc::NLMSG_ERROR, &refused).end().unwrap().unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(message(libc::NLMSG_ERROR, &[0; 4]).end().unwrap().is_ok());
        assert!(message(libc::NLMSG_DONE, &[]).end().unwrap().is_ok());
        assert!(message(16, &refused).end().is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic_or_loop(bytes in proptest::collection::vec(0_u8..40, 0..200)) {
            let nested: usize = Messages(&bytes)
                .filter_map(|message| message.split::<4>())
                .flat_map(|(_, attributes)| attributes)
                .map(|attribute| attribute.nested().count())
                .sum();
            assert!(nested <= bytes.len());
        }
    }

    #[test]
    fn the_kernel_answers_a_dump() {
        let mut socket = Socket::open(libc::NETLINK_ROUTE, 0).unwrap();
        let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP).body(&[0; 16]);
        let mut names = Vec::new();
        let answered = socket.ask(request, &mut |message| {
            let attributes = message.split::<16>().map(|(_, attributes)| attributes);
            names.extend(attributes.into_iter().flatten().filter(|a| a.kind == 3).map(|name| name.text()));
        });
        answered.unwrap();
        assert!(names.contains(&"lo".to_owned()), "{names:?}");
        assert_eq!(socket.receive(false, &mut |_| panic!("nothing was asked")).unwrap(), Received::Nothing);
    }

    #[test]
    fn a_refused_request_is_an_error_and_those_behind_it_are_worked_off() {
        let mut socket = Socket::open(libc::NETLINK_ROUTE, 0).unwrap();
        // `struct ifinfomsg` of an interface that there is none of.
        let body = [[0; 4], i32::MAX.to_ne_bytes(), [0; 4], [0; 4]].concat();
        let unknown = || Request::new(libc::RTM_GETLINK, libc::NLM_F_ACK).body(&body);
        assert_eq!(socket.ask(unknown(), &mut |_| ()).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        let all = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP).body(&[0; 16]);
        let last = socket.send_all([unknown(), all]);
        let (mut answered, last) = (false, last.unwrap());
        while !answered {
            socket
                .receive(true, &mut |message| answered |= message.sequence == last && message.end().is_some())
                .unwrap();
        }
    }
}
