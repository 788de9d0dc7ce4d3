//! Any bytes on the control socket: each line is a request or gets a refusal in bounded words, and what was understood
//! means the same when it is said again. As the server's answer, too: a client must survive whatever answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pfw::control::Request;
use pfw::control::limits::{MAX_LINES, MAX_QUOTED};
use pfw::control::protocol::{answer_line, read_answer};

fuzz_target!(|input: &[u8]| {
    for line in input.split(|&byte| byte == b'\n') {
        match Request::from_line(line) {
            Ok(request) => {
                let again = request.to_line();
                assert_eq!(Request::from_line(again.strip_suffix(b"\n").unwrap()), Ok(request));
            }
            Err(refusal) => {
                assert!(refusal.message.chars().count() <= MAX_QUOTED + 3);
                assert!(refusal.details.len() <= MAX_LINES + 1);
                let answer = answer_line(&Err(refusal.clone()));
                assert_eq!(answer.iter().filter(|&&byte| byte == b'\n').count(), 1);
                assert_eq!(read_answer(&answer), Ok(Err(refusal)));
            }
        }
        if let Ok(outcome) = read_answer(line) {
            assert_eq!(read_answer(&answer_line(&outcome)), Ok(outcome));
        }
    }
});
