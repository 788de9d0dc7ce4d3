//! Files made by hand, byte by byte, held against what is handed out of them.

use super::*;
use crate::packet::PacketType;

/// What a sink saw: interface, nanoseconds, link, bytes, original length, packet type.
type Seen = (u32, i64, Link, Vec<u8>, u32, Option<PacketType>);

fn read(bytes: &[u8]) -> (Vec<Seen>, io::Result<()>) {
    let mut seen = Vec::new();
    let result = CaptureFile::new("x.pcap", bytes).and_then(|mut file| {
        loop {
            let polled = file.poll(Duration::ZERO, &mut |frame| {
                let Frame { interface, link, original_len, packet_type, .. } = *frame;
                seen.push((interface, frame.time.nanos(), link, frame.bytes.to_vec(), original_len, packet_type));
            })?;
            if polled == Polled::End {
                assert_eq!(file.counters().frames, seen.len() as u64);
                return Ok(());
            }
        }
    });
    (seen, result)
}

fn message(bytes: &[u8]) -> String {
    let error = read(bytes).1.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.to_string()
}

/// Numbers in one of the two byte orders.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

const LITTLE: Order = Order { big: false };
const BIG: Order = Order { big: true };

impl Order {
    fn u16(self, number: u16) -> Vec<u8> {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }.to_vec()
    }

    fn u32(self, number: u32) -> Vec<u8> {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }.to_vec()
    }

    fn u32s(self, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|&number| self.u32(number)).collect()
    }

    fn pcap_header(self, magic: u32, minor: u16, linktype: u32) -> Vec<u8> {
        [self.u32(magic), self.u16(2), self.u16(minor), self.u32s(&[0, 0, 65535, linktype])].concat()
    }

    fn record(self, seconds: u32, fraction: u32, original: u32, data: &[u8]) -> Vec<u8> {
        [&self.u32s(&[seconds, fraction, len(data), original])[..], data].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
        let total = self.u32(len(&padded) + 12);
        [&self.u32(kind)[..], &total, &padded, &total].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u32(0x1a2b_3c4d), self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[version, vec![0xff; 8]].concat())
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&self.u16(code)[..], &self.u16(u16::try_from(value.len()).unwrap()), value, &padding].concat()
    }

    fn interface(self, linktype: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
        self.block(1, &[&self.u16(linktype)[..], &self.u16(0), &self.u32(snaplen), options].concat())
    }

    fn enhanced(self, interface: u32, ticks: u64, original: u32, data: &[u8], options: &[u8]) -> Vec<u8> {
        let (high, low) = ((ticks >> 32) as u32, (ticks & 0xffff_ffff) as u32);
        let padding = vec![0; data.len().next_multiple_of(4) - data.len()];
        let header = self.u32s(&[interface, high, low, len(data), original]);
        self.block(6, &[&header[..], data, &padding, options].concat())
    }
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

#[test]
fn pcap_is_read_in_both_byte_orders_and_resolutions() {
    for order in [LITTLE, BIG] {
        for (magic, nanos) in [(0xa1b2_c3d4, 1_000_005_000), (0xa1b2_3c4d, 1_000_000_005)] {
            let file = [order.pcap_header(magic, 4, 1), order.record(1, 5, 60, b"abc")].concat();
            let (seen, result) = read(&file);
            result.unwrap();
            assert_eq!(seen, [(0, nanos, Link::Ethernet, b"abc".to_vec(), 60, None)]);
        }
    }
}

#[test]
fn the_modified_pcap_format_has_a_longer_record_header() {
    let mut record = LITTLE.record(1, 5, 60, &[0; 8]);
    record.splice(8..12, LITTLE.u32(3));
    let file = [LITTLE.pcap_header(0xa1b2_cd34, 4, 1), record, b"abc".to_vec()].concat();
    assert_eq!(read(&file).0, [(0, 1_000_005_000, Link::Ethernet, b"abc".to_vec(), 60, None)]);
}

#[test]
fn old_versions_of_pcap_have_the_lengths_swapped() {
    for (minor, captured, original) in [(2, 60, 3), (3, 60, 3), (3, 3, 60), (4, 3, 60)] {
        let record = [LITTLE.u32s(&[1, 5, captured, original]), b"abc".to_vec()].concat();
        let (seen, result) = read(&[LITTLE.pcap_header(0xa1b2_c3d4, minor, 1), record].concat());
        result.unwrap();
        assert_eq!((&seen[0].3[..], seen[0].4), (&b"abc"[..], 60));
    }
    let message = message(&LITTLE.pcap_header(0xa1b2_c3d4, 5, 1));
    assert_eq!(message, "x.pcap: a pcap file of version 2.5, only 2.4 and before are read");
}

#[test]
fn flags_above_the_link_type_are_no_part_of_it() {
    let file = [LITTLE.pcap_header(0xa1b2_c3d4, 4, 0x5400_0071), LITTLE.record(0, 0, 3, b"abc")].concat();
    assert_eq!(read(&file).0[0].2, Link::LinuxSll);
}

#[test]
fn everything_before_the_damage_is_handed_out() {
    let whole = [LITTLE.pcap_header(0xa1b2_c3d4, 4, 1), LITTLE.record(1, 0, 3, b"abc")].concat();
    for (tail, what) in [
        (&b"123"[..], "the file ends within a record: 16 bytes needed, 3 there".to_owned()),
        (&LITTLE.record(0, 0, 3, b"abc")[..18], "the file ends within a record: 19 bytes needed, 18 there".to_owned()),
        (&LITTLE.u32s(&[0, 0, 0x7fff_fff0, 0]), "a record of 2147483648 bytes, at most 1048576 are read".to_owned()),
    ] {
        let (seen, result) = read(&[&whole, tail].concat());
        assert_eq!(seen.len(), 1);
        assert_eq!(result.unwrap_err().to_string(), format!("x.pcap: damaged at byte 43: {what}"));
    }
}

#[test]
fn after_an_error_comes_the_end() {
    let bytes = [LITTLE.pcap_header(0xa1b2_c3d4, 4, 1), b"123".to_vec()].concat();
    let mut file = CaptureFile::new("x.pcap", &bytes[..]).unwrap();
    assert!(file.poll(Duration::ZERO, &mut |_| ()).is_err());
    assert_eq!(file.poll(Duration::ZERO, &mut |_| ()).unwrap(), Polled::End);
}

#[test]
fn what_is_no_capture_is_told() {
    assert_eq!(message(b""), "x.pcap: the file is empty");
    assert_eq!(message(b"\n"), "x.pcap: not a capture: it begins with 0a, and pcap and pcapng files don't");
    assert_eq!(
        message(b"<html>.................."),
        "x.pcap: not a capture: it begins with 3c 68 74 6d, and pcap and pcapng files don't"
    );
    assert_eq!(
        message(&[0x1f, 0x8b, 8, 0]),
        "x.pcap: not a capture but a gzip file: unpack it first, for example with zcat"
    );
    assert_eq!(
        message(&LITTLE.pcap_header(0xa1b2_c3d4, 4, 1)[..23]),
        "x.pcap: the file ends within a record: 24 bytes needed, 23 there"
    );
    let missing = CaptureFile::open(Path::new("/nonexistent/x.pcap")).map(|_| ()).unwrap_err();
    assert_eq!(missing.to_string(), "cannot open /nonexistent/x.pcap: No such file or directory (os error 2)");
}

#[test]
fn pcapng_is_read_in_both_byte_orders_with_several_interfaces() {
    for order in [LITTLE, BIG] {
        let name = [order.option(2, b"eth0"), order.option(0, b"")].concat();
        let offset = if order.big { 100_i64.to_be_bytes() } else { 100_i64.to_le_bytes() };
        let nanos = [order.option(9, &[9]), order.option(14, &offset)].concat();
        let file = [
            order.section(),
            order.interface(1, 0, &name),
            order.interface(101, 0, &nanos),
            order.enhanced(0, 7, 3, b"abc", &[]),
            order.enhanced(1, 0x1_0000_0000, 90, b"abcd", &[]),
            // Another section, whose interface has no name.
            order.section(),
            order.interface(113, 0, &[]),
            order.enhanced(0, 8, 3, b"abc", &[]),
        ]
        .concat();
        let (seen, result) = read(&file);
        result.unwrap();
        assert_eq!(
            seen,
            [
                (0, 7_000, Link::Ethernet, b"abc".to_vec(), 3, None),
                (1, 104_294_967_296, Link::RawIp, b"abcd".to_vec(), 90, None),
                (2, 8_000, Link::LinuxSll, b"abc".to_vec(), 3, None),
            ]
        );
        let mut opened = CaptureFile::new("x", &file[..]).unwrap();
        while opened.poll(Duration::ZERO, &mut |_| ()).unwrap() == Polled::More {}
        let names: Vec<_> = opened.interfaces().iter().map(|interface| interface.name.as_deref()).collect();
        assert_eq!(names, [Some("eth0"), None, None]);
    }
}

#[test]
fn sections_may_differ_in_their_byte_order() {
    let section = |order: Order| [order.section(), order.interface(1, 0, &[]), order.enhanced(0, 7, 3, b"abc", &[])];
    let (seen, result) = read(&[section(LITTLE).concat(), section(BIG).concat(), section(LITTLE).concat()].concat());
    result.unwrap();
    assert_eq!(seen.iter().map(|frame| (frame.0, frame.1)).collect::<Vec<_>>(), [(0, 7000), (1, 7000), (2, 7000)]);
}

#[test]
fn a_frame_is_handed_out_after_its_interface_could_be_looked_at() {
    let order = LITTLE;
    let packet = order.enhanced(0, 7, 3, b"abc", &[]);
    let file =
        [order.section(), order.interface(1, 0, &[]), packet.clone(), order.interface(1, 0, &[]), packet].concat();
    let mut opened = CaptureFile::new("x", &file[..]).unwrap();
    let mut counts = Vec::new();
    loop {
        let mut frames = 0;
        let polled = opened.poll(Duration::ZERO, &mut |_| frames += 1).unwrap();
        counts.push((opened.interfaces().len(), frames));
        if polled == Polled::End {
            break;
        }
    }
    assert_eq!(counts, [(1, 0), (2, 1), (2, 1), (2, 0)]);
}

#[test]
fn simple_and_old_packet_blocks_are_read() {
    for order in [LITTLE, BIG] {
        let simple = order.block(3, &[&order.u32(10)[..], b"0123xxxx"].concat());
        let old_header = [order.u16(0), order.u16(7), order.u32s(&[0, 5, 3, 60])].concat();
        let old = order.block(2, &[&old_header[..], b"abc"].concat());
        let (seen, result) = read(&[order.section(), order.interface(1, 4, &[]), old, simple].concat());
        result.unwrap();
        let simple = (0, 5_000, Link::Ethernet, b"0123".to_vec(), 10, None);
        assert_eq!(seen, [(0, 5_000, Link::Ethernet, b"abc".to_vec(), 60, None), simple]);
    }
}

#[test]
fn the_flags_of_a_packet_tell_its_way() {
    for order in [LITTLE, BIG] {
        for (flags, expected) in [
            (0, None),
            (1, Some(PacketType::Host)),
            (1 | 1 << 2, Some(PacketType::Host)),
            (1 | 2 << 2, Some(PacketType::Multicast)),
            (1 | 3 << 2, Some(PacketType::Broadcast)),
            (1 | 4 << 2, Some(PacketType::OtherHost)),
            (2, Some(PacketType::Outgoing)),
            (3, None),
        ] {
            let options = [order.option(1, b"a comment"), order.option(2, &order.u32(flags))].concat();
            let packet = order.enhanced(0, 7, 3, b"abc", &options);
            let (seen, result) = read(&[order.section(), order.interface(1, 0, &[]), packet].concat());
            result.unwrap();
            assert_eq!((seen[0].5, &seen[0].3[..]), (expected, &b"abc"[..]));
        }
    }
}

#[test]
fn blocks_of_other_kinds_are_passed_over_whatever_their_size() {
    let order = BIG;
    let file = [
        order.section(),
        order.block(5, &[0xee; 24]),
        order.block(0x0bad, &vec![0xee; 2 * MAX_RECORD]),
        order.block(0x8000_0001, b"?"),
        order.interface(1, 0, &[]),
        order.enhanced(0, 7, 3, b"abc", &[]),
    ]
    .concat();
    let (seen, result) = read(&file);
    result.unwrap();
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_damaged_block_is_named_with_its_place() {
    let order = LITTLE;
    let whole = [order.section(), order.interface(1, 0, &[]), order.enhanced(0, 7, 3, b"abc", &[])].concat();
    let long = order.u32s(&[0, 0, 7, 5, 3]);
    let mut wrong_end = order.enhanced(0, 7, 3, b"abc", &[]);
    wrong_end.truncate(32);
    wrong_end.extend(order.u32(32));
    for (tail, what) in [
        (order.enhanced(1, 7, 3, b"abc", &[]), "a packet of interface 1, which is not described"),
        (order.block(6, &long), "an enhanced packet block of 32 bytes whose parts do not fit into it"),
        (order.block(6, b"ab"), "an enhanced packet block of 16 bytes whose parts do not fit into it"),
        (order.block(2, &[0; 8]), "an old packet block whose parts do not fit into it"),
        (wrong_end, "an enhanced packet block of length 36 at its beginning and 32 at its end"),
        (order.u32s(&[6, 0, 0]), "a block of length 0, which is no multiple of 4 from 12 on"),
        (order.u32s(&[6, 33, 0]), "a block of length 33, which is no multiple of 4 from 12 on"),
        (order.u32s(&[6, 0x7000_0000, 0]), "an enhanced packet block of 1879048192 bytes, at most 1048576 are read"),
        (order.u32s(&[6, 64, 0]), "the file ends within a record: 64 bytes needed, 12 there"),
        (order.u32s(&[5, 64, 0]), "the file ends within a record: 64 bytes needed, 12 there"),
        (b"abc".to_vec(), "the file ends within a record: 12 bytes needed, 3 there"),
        (order.interface(1, 0, &order.option(9, &[20])), "an interface whose time stamps have the resolution 0x14"),
        (
            order.u32s(&[0x0a0d_0d0a, 28, 0]),
            "a section header block without the magic number that tells its byte order",
        ),
    ] {
        let (seen, result) = read(&[&whole[..], &tail].concat());
        assert_eq!(seen.len(), 1, "{what}");
        assert_eq!(result.unwrap_err().to_string(), format!("x.pcap: damaged at byte {}: {what}", whole.len()));
    }
}

#[test]
fn frames_of_a_foreign_link_type_are_counted_and_the_others_go_on() {
    let order = LITTLE;
    let file = [
        order.section(),
        order.interface(105, 0, &[]),
        order.interface(1, 0, &[]),
        order.interface(999, 0, &[]),
        order.enhanced(0, 7, 3, b"abc", &[]),
        order.enhanced(1, 7, 3, b"abc", &[]),
        order.enhanced(0, 7, 3, b"abc", &[]),
        order.enhanced(2, 7, 3, b"abc", &[]),
    ]
    .concat();
    let (seen, result) = read(&file);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        result.unwrap_err().to_string(),
        "x.pcap: interface 0 has link type 105 (IEEE802_11), which pfw does not read: 2 frames skipped; \
         interface 2 has link type 999, which pfw does not read: 1 frame skipped"
    );
    // A frame of which there is only a part is no frame.
    let part = [LITTLE.pcap_header(0xa1b2_c3d4, 4, 231), LITTLE.record(0, 0, 9, b"abc")].concat();
    assert_eq!(
        message(&part[..42]),
        "x.pcap: damaged at byte 24: the file ends within a record: 19 bytes needed, 18 there"
    );
    let mut opened = CaptureFile::new("x", &part[..42]).unwrap();
    assert!(opened.poll(Duration::ZERO, &mut |_| ()).is_err());
    assert_eq!(opened.interfaces()[0].skipped, 0);
    let pcap = [LITTLE.pcap_header(0xa1b2_c3d4, 4, 231), LITTLE.record(0, 0, 9, &vec![0; 2 * MAX_RECORD])].concat();
    assert_eq!(
        message(&pcap),
        "x.pcap: interface 0 has link type 231 (DBUS), which pfw does not read: 1 frame skipped"
    );
}

#[test]
fn an_empty_capture_is_no_error() {
    assert!(read(&LITTLE.pcap_header(0xa1b2_c3d4, 4, 105)).1.is_ok());
    assert!(read(&BIG.section()).1.is_ok());
}

#[test]
fn a_pipe_gets_its_frames_before_the_next_read() {
    /// One record a read, and a count of the reads.
    struct Pipe<'a> {
        parts: std::slice::Iter<'a, Vec<u8>>,
    }
    impl Read for Pipe<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let part = self.parts.next().map_or(&[][..], |part| &part[..]);
            buffer[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }
    let record = LITTLE.record(1, 0, 3, b"abc");
    let parts = [LITTLE.pcap_header(0xa1b2_c3d4, 4, 1), record.clone(), record.clone(), record];
    let mut file = CaptureFile::new("x", Pipe { parts: parts.iter() }).unwrap();
    for _ in 0..3 {
        let mut frames = 0;
        assert_eq!(file.poll(Duration::ZERO, &mut |_| frames += 1).unwrap(), Polled::More);
        assert_eq!(frames, 1);
    }
    assert_eq!(file.poll(Duration::ZERO, &mut |_| ()).unwrap(), Polled::End);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_loop(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), kind in 0..4) {
        let order = if kind % 2 == 0 { LITTLE } else { BIG };
        let head = if kind < 2 { order.pcap_header(0xa1b2_c3d4, 4, 1) } else { [order.section(), order.interface(1, 0, &[])].concat() };
        let file = [head, bytes].concat();
        let (seen, _) = read(&file);
        let handed_out: usize = seen.iter().map(|frame| frame.3.len()).sum();
        assert!(handed_out <= file.len());
    }
}
