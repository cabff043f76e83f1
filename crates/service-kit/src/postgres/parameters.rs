//! The parameters of a URL that are about TLS, taken out of it: the driver knows one of them, and
//! of its values half.

/// What a connection string asks of TLS, word for word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TlsParameters {
    pub(super) mode: Option<String>,
    pub(super) root_certificate: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

/// Takes them out of a connection string, which is a URL or `name=value name=value`. What is left
/// is for the driver to read.
///
/// # Errors
///
/// What the string must be; nothing of it is repeated but the name of a parameter.
pub(super) fn take(text: &str, form: &str) -> Result<(String, TlsParameters), String> {
    let mut taken = TlsParameters::default();
    let rest = if text.contains("://") {
        take_from_url(text, form, &mut taken)?
    } else {
        take_from_words(text, form, &mut taken)?
    };
    Ok((rest, taken))
}

fn take_from_url(text: &str, form: &str, taken: &mut TlsParameters) -> Result<String, String> {
    // A password may have a question mark in it.
    let after_password = text.find('@').unwrap_or(0);
    let Some(at) = text[after_password..].find('?') else {
        return Ok(text.to_owned());
    };
    let (rest, query) = text.split_at(after_password + at);
    let mut kept = Vec::new();
    for pair in query[1..].split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // The driver decodes names too: an encoded one is the same parameter.
        let name = percent_decoded(name).ok_or_else(|| form.to_owned())?;
        let value = || percent_decoded(value).ok_or_else(|| form.to_owned());
        if !taken.takes(&name, value)? {
            kept.push(pair);
        }
    }
    let mut rest = rest.to_owned();
    if !kept.is_empty() {
        rest.push('?');
        rest += &kept.join("&");
    }
    Ok(rest)
}

fn take_from_words(text: &str, form: &str, taken: &mut TlsParameters) -> Result<String, String> {
    let mut kept = String::new();
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (name, after) = left.split_once('=').ok_or_else(|| form.to_owned())?;
        let (value, after) = word(after.trim_start()).ok_or_else(|| form.to_owned())?;
        if !taken.takes(name.trim_end(), || Ok(value))? {
            kept += &left[..left.len() - after.len()];
            kept.push(' ');
        }
        left = after.trim_start();
    }
    Ok(kept)
}

/// The value that a text begins with, unquoted, and what follows it.
fn word(text: &str) -> Option<(String, &str)> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\'' if is_quoted => return Some((value, &text[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            _ if !is_quoted && letter.is_whitespace() => return Some((value, &text[at..])),
            _ => value.push(letter),
        }
    }
    (!is_quoted).then_some((value, ""))
}

impl TlsParameters {
    /// Keeps the value of a parameter that is about TLS; false for any other.
    fn takes(
        &mut self,
        name: &str,
        value: impl FnOnce() -> Result<String, String>,
    ) -> Result<bool, String> {
        let place = match name {
            "sslmode" => &mut self.mode,
            "sslrootcert" => &mut self.root_certificate,
            "sslcert" => &mut self.certificate,
            "sslkey" => &mut self.key,
            "sslnegotiation" if value()? == "postgres" => return Ok(true),
            // What asks for more must not be ignored.
            _ if name.starts_with("ssl") && is_plain(name) => {
                return Err(format!(
                    "must not have {name}, which is not supported: of TLS there are sslmode, \
                     sslrootcert, sslcert and sslkey; a key must not be encrypted, and TLS is 1.2 \
                     or newer"
                ));
            }
            _ => return Ok(false),
        };
        let value = value()?;
        if value.is_empty() {
            // As of an unset variable: it must not mean less protection than was meant.
            return Err(format!("must have a value for {name}, or not have {name}"));
        }
        if place.replace(value).is_some() {
            return Err(format!("must have {name} once"));
        }
        Ok(true)
    }
}

/// Whether it is a name, and not a part of something else that may be a secret.
fn is_plain(name: &str) -> bool {
    name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let code = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(code).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(values: [&str; 4]) -> TlsParameters {
        let [mode, root_certificate, certificate, key] =
            values.map(|value| (!value.is_empty()).then(|| value.to_owned()));
        TlsParameters {
            mode,
            root_certificate,
            certificate,
            key,
        }
    }

    #[test]
    fn they_are_taken_out_of_a_url_and_the_rest_is_as_it_was() {
        for (text, rest, values) in [
            ("postgres://a:b@c/d", "postgres://a:b@c/d", ["", "", "", ""]),
            (
                "postgres://a:b?sslmode=x@c/d?sslmode=require",
                "postgres://a:b?sslmode=x@c/d",
                ["require", "", "", ""],
            ),
            (
                "postgres://c/d?options=-c%20x&sslmode=verify-full&sslrootcert=%2Fa%20b.pem&keepalives=1",
                "postgres://c/d?options=-c%20x&keepalives=1",
                ["verify-full", "/a b.pem", "", ""],
            ),
            (
                "postgres://c/d?sslkey=k&sslcert=c&sslnegotiation=postgres",
                "postgres://c/d",
                ["", "", "c", "k"],
            ),
            (
                "postgres://c/d?ssl%6dode=require",
                "postgres://c/d",
                ["require", "", "", ""],
            ),
        ] {
            let taken = take(text, "form").expect(text);
            assert_eq!(taken, (rest.to_owned(), parameters(values)));
        }
    }

    #[test]
    fn they_are_taken_out_of_words() {
        for (text, rest, values) in [
            (
                "host=c  sslmode = require user='a \\' b'",
                "host=c user='a \\' b' ",
                ["require", "", "", ""],
            ),
            (
                "sslrootcert='/a b.pem' password=x\\ sslmode=y",
                "password=x\\ sslmode=y ",
                ["", "/a b.pem", "", ""],
            ),
        ] {
            let taken = take(text, "form").expect(text);
            assert_eq!(taken, (rest.to_owned(), parameters(values)));
        }
    }

    #[test]
    fn what_cannot_be_read_or_is_not_supported_is_refused() {
        for text in ["host=c secret", "user='secret", "user=secret\\"] {
            assert_eq!(take(text, "form"), Err("form".to_owned()), "{text}");
        }
        for text in ["postgres://c/d?sslmode=%4", "postgres://c/d?sslmode=%ff"] {
            assert_eq!(take(text, "form"), Err("form".to_owned()), "{text}");
        }
        for (query, why) in [
            (
                "sslmode=",
                "must have a value for sslmode, or not have sslmode",
            ),
            (
                "sslmode",
                "must have a value for sslmode, or not have sslmode",
            ),
            ("sslmode=require&sslmode=disable", "must have sslmode once"),
        ] {
            let taken = take(&format!("postgres://c/d?{query}"), "form");
            assert_eq!(taken, Err(why.to_owned()), "{query}");
        }
        for name in ["sslcrl", "sslpassword", "ssl_min_protocol_version"] {
            let why = take(&format!("postgres://c/d?{name}=secret"), "form");
            let why = why.expect_err(name);
            assert!(why.contains(name) && !why.contains("secret"), "{why}");
        }
        let direct = take("postgres://c/d?sslnegotiation=direct", "form");
        assert!(direct.expect_err("direct").contains("sslnegotiation"));
    }
}
