//! Which addresses may be talked to.
//!
//! Judged on the resolved address, never on a name. What is not known to be public is refused: for IPv6 that is
//! everything outside `2000::/3`. Ranges: the IANA special-purpose address registries (RFC 6890 and updates).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Refuses inside networks, at connect time, on the resolved address. The operator may allow a network and port.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<Allowance>,
}

/// A network that the operator opened, on one port or on all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowance {
    network: IpAddr,
    prefix: u8,
    port: Option<u16>,
}

/// Networks that are not the public internet, IPv4.
const INSIDE_V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),       // unspecified, this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // shared, carrier NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, cloud metadata
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarking
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// The global unicast space, and the networks inside it that are not public, IPv6. Outside of it lie the unspecified and
/// loopback addresses, NAT64, unique local (ULA), link-local and multicast.
const GLOBAL_V6: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const INSIDE_V6: &[([u16; 8], u8)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarking, ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

impl Guard {
    /// Each allowance is `ADDRESS[/PREFIX][:PORT]`: `127.0.0.1:8081`, `10.0.0.0/8`, `[::1]:8081`.
    ///
    /// # Errors
    /// One sentence about the allowance that cannot be read.
    pub fn new(allow: &[String]) -> Result<Guard, String> {
        Ok(Guard { allow: allow.iter().map(|text| Allowance::read(text)).collect::<Result<_, _>>()? })
    }

    pub fn allows(&self, address: IpAddr, port: u16) -> bool {
        self.exempts(address, port) || is_public(address)
    }

    /// The operator opened this address and port by name: plain HTTP is allowed there too.
    pub fn exempts(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|allowance| {
            allowance.port.is_none_or(|allowed| allowed == port)
                && contains(allowance.network, allowance.prefix, address)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !INSIDE_V4
            .iter()
            .any(|(network, prefix)| contains(Ipv4Addr::from(*network).into(), *prefix, address.into())),
        IpAddr::V6(address) => {
            let lies_in =
                |(network, prefix): &([u16; 8], u8)| contains(Ipv6Addr::from(*network).into(), *prefix, address.into());
            lies_in(&GLOBAL_V6) && !INSIDE_V6.iter().any(lies_in)
        }
    }
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let free = u32::from(width - prefix.min(width));
    // Shifting by the whole width overflows: a prefix of 0 contains everything.
    network.checked_shr(free).unwrap_or(0) == address.checked_shr(free).unwrap_or(0)
}

impl Allowance {
    fn read(text: &str) -> Result<Allowance, String> {
        let unreadable = |what: &str| {
            format!("`{text}` is no network: {what}; write `127.0.0.1:8081`, `10.0.0.0/8` or `[::1]:8081`")
        };
        let (address, rest) = split(text).ok_or_else(|| unreadable("a `[` is not closed"))?;
        let network: IpAddr = address.parse().map_err(|_| unreadable("the address cannot be read"))?;
        if network.to_canonical() != network {
            return Err(unreadable("write this IPv4 address without IPv6 around it"));
        }
        let (prefix, port) = match rest.split_once(':') {
            Some((prefix, port)) => (prefix, Some(port)),
            None => (rest, None),
        };
        let width = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix.strip_prefix('/') {
            Some(digits) => read_number(digits, width).ok_or_else(|| unreadable("the prefix is no number in range"))?,
            None if prefix.is_empty() => width,
            None => return Err(unreadable("something stands after the address")),
        };
        let port = match port {
            Some(digits) => {
                Some(read_number(digits, u16::MAX).filter(|port| *port > 0).ok_or_else(|| unreadable("bad port"))?)
            }
            None => None,
        };
        let prefix = prefix as u8; // At most 128.
        if !is_start_of(network, prefix) {
            return Err(unreadable(&format!("the address is not the start of a /{prefix}")));
        }
        Ok(Allowance { network, prefix, port })
    }
}

/// The address, and what follows it. An IPv6 address is bracketed if a port follows.
fn split(text: &str) -> Option<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.split_once(']');
    }
    let bare_ipv6 = text.matches(':').count() > 1;
    let end = text.find(|letter| letter == '/' || (letter == ':' && !bare_ipv6)).unwrap_or(text.len());
    Some(text.split_at(end))
}

fn read_number(digits: &str, max: u16) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number <= max)
}

/// No bit is set behind the prefix.
fn is_start_of(network: IpAddr, prefix: u8) -> bool {
    let (bits, width) = match network {
        IpAddr::V4(network) => (u128::from(network.to_bits()), 32),
        IpAddr::V6(network) => (network.to_bits(), 128),
    };
    prefix >= width || bits.trailing_zeros() >= u32::from(width - prefix) || bits == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        Guard::new(&allow.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn inside_addresses_are_refused_and_public_ones_are_not() {
        let refused = "
            0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.0.9 169.254.169.254
            172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.7
            203.0.113.9 224.0.0.1 239.1.2.3 240.0.0.1 255.255.255.255
            :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
            64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:10::1 2001:db8::1 2002:7f00:1::1
            3fff::1 5f00::1 fc00::1 fd12:3456::1 fe80::1 fec0::1 ff02::1";
        for address in refused.split_whitespace() {
            assert!(!guard(&[]).allows(address.parse().unwrap(), 443), "{address} must be refused");
        }
        let public = "
            1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.0.1
            172.15.0.1 172.32.0.1 192.0.1.1 192.167.0.1 198.17.0.1 198.20.0.1 223.255.255.255
            2001:200::1 2001:4860:4860::8888 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8";
        for address in public.split_whitespace() {
            assert!(guard(&[]).allows(address.parse().unwrap(), 443), "{address} must be allowed");
        }
    }

    #[test]
    fn an_allowance_opens_its_network_and_port_and_nothing_else() {
        let table = [
            ("127.0.0.1:8081", "127.0.0.1", 8081, true),
            ("127.0.0.1:8081", "::ffff:127.0.0.1", 8081, true),
            ("127.0.0.1:8081", "127.0.0.1", 8082, false),
            ("127.0.0.1:8081", "127.0.0.2", 8081, false),
            ("127.0.0.1", "127.0.0.1", 9, true),
            ("10.0.0.0/8", "10.9.8.7", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, true),
            ("10.0.0.0/8", "192.168.0.1", 443, false),
            ("10.0.0.0/8:443", "10.9.8.7", 80, false),
            ("0.0.0.0/0", "127.0.0.1", 80, true),
            ("0.0.0.0/0", "::1", 80, false),
            ("[::1]:8081", "::1", 8081, true),
            ("[::1]:8081", "::1", 80, false),
            ("::1", "::1", 80, true),
            ("fd00::/8", "fd12::7", 80, true),
            ("[fd00::]/8:443", "fd12::7", 443, true),
            ("[fd00::]/8:443", "fe80::7", 443, false),
        ];
        for (allow, address, port, expected) in table {
            let found = guard(&[allow]).allows(address.parse().unwrap(), port);
            assert_eq!(found, expected, "{allow} for {address} port {port}");
        }
        assert!(!guard(&["10.0.0.0/8"]).exempts("8.8.8.8".parse().unwrap(), 80), "public is not exempt");
    }

    #[test]
    fn an_allowance_that_cannot_be_read_says_why() {
        let table = [
            ("", "the address cannot be read"),
            ("localhost:80", "the address cannot be read"),
            ("127.0.0.1:0", "bad port"),
            ("127.0.0.1:65536", "bad port"),
            ("127.0.0.1:+80", "bad port"),
            ("127.0.0.1:", "bad port"),
            ("127.0.0.1/33", "the prefix is no number in range"),
            ("127.0.0.1/", "the prefix is no number in range"),
            ("10.0.0.1/8", "the address is not the start of a /8"),
            ("[::1", "a `[` is not closed"),
            ("[::1]8081", "something stands after the address"),
            ("::ffff:127.0.0.1", "without IPv6 around it"),
        ];
        for (text, why) in table {
            let told = Guard::new(&[text.to_owned()]).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
