//! Whose the log is.

use crate::sys::effective_user;

/// The group of the user who called sudo, so that `tail -f firewall.log` needs none; only when running as root, who
/// alone may give a file to any group.
pub fn sudo_group() -> Option<u32> {
    if effective_user() != 0 {
        return None;
    }
    valid_group(&std::env::var("SUDO_GID").ok()?)
}

/// A group id in decimal. The highest one means "no change" to chown(2).
fn valid_group(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&group| plain && group != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_plain_number() {
        assert_eq!(valid_group("1000"), Some(1000));
        for bad in ["", "+1", "-1", "1000 ", "users", "4294967295", "4294967296"] {
            assert_eq!(valid_group(bad), None, "{bad}");
        }
    }
}
