//! Sizes as users write them.

/// Reads a number of bytes: `1000`, `64K`, `100M`, `2G`, each step 1024; `KB` and `KiB` mean the same as `K`.
///
/// # Errors
/// What is wrong with `text`, to stand behind the name of an option.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("`{text}` is no size; write a number of bytes, with K, M or G behind it if you like")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is no size; it must begin with a number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_steps_of_1024() {
        for (text, bytes) in
            [("0", 0), ("1000", 1000), ("64K", 65_536), ("100MiB", 104_857_600), ("2gb", 2_147_483_648)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "K", "-1", "+1", "1.5M", "10 M", "10T", "99999999999999999999", "18446744073709551615K", "\u{e4}"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
