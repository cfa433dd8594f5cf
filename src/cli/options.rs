//! How option values are read, and how numbers are printed.

/// A size in bytes: `1073741824`, `512MiB`, `4GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("`{unit}` is none of B, KiB, MiB, GiB")),
    };
    let number: u64 = digits.parse().map_err(|error| format!("`{digits}`: {error}"))?;
    number.checked_mul(unit).ok_or("more than 2^64 bytes".to_owned())
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{bytes, grouped};

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert_eq!(bytes("3 MiB"), Ok(3 << 20));
    }

    #[test]
    fn a_size_that_is_none_is_refused_with_a_reason() {
        assert!(bytes("4GB").unwrap_err().contains("KiB"));
        assert!(bytes("GiB").is_err());
        assert!(bytes("-1").is_err());
        assert!(bytes("18446744073709551615GiB").unwrap_err().contains("2^64"));
    }

    #[test]
    fn figures_are_grouped_by_thousands() {
        let figures = [0, 999, 1_000, 291_755, 1_234_567].map(grouped);
        assert_eq!(figures, ["0", "999", "1,000", "291,755", "1,234,567"]);
    }
}
