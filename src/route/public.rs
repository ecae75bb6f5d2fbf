//! Which addresses may be connected to.
//!
//! Decides: by the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), whether an address is globally
//! reachable, and if not, whether somebody may still use it inside ([`AddressScope::Private`]) or nobody can
//! ([`AddressScope::Unroutable`]). Forms that carry an IPv4 address (v4-mapped, NAT64, 6to4, Teredo) are judged by that.
//! Must not: resolve. Can't know: what an unusual network does with addresses of its own; it says so by [`AllowedNets`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use self::AddressScope::{Private, Public, Unroutable};
use super::Route;

/// Who can reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressScope {
    /// Everybody.
    Public,
    /// Those inside: split-horizon DNS, a resolver that invents addresses, or a mistake. Says nothing about a domain.
    Private,
    /// Nobody but the host itself, or nobody at all: no mail can be delivered there.
    Unroutable,
}

/// A row of the registries: what is not globally reachable, or an exception within it.
struct Block<Net> {
    net: Net,
    /// As the registry calls it.
    name: &'static str,
    reach: AddressScope,
}

const fn v4(octets: [u8; 4], prefix: u8, name: &'static str, reach: AddressScope) -> Block<Ipv4Net> {
    let [a, b, c, d] = octets;
    Block { net: Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix), name, reach }
}

/// `head` is the first four groups; the rest is zero for all blocks but a few single addresses.
const fn v6(head: [u16; 4], prefix: u8, name: &'static str, reach: AddressScope) -> Block<Ipv6Net> {
    v6_full([head[0], head[1], head[2], head[3], 0, 0, 0, 0], prefix, name, reach)
}

const fn v6_full(groups: [u16; 8], prefix: u8, name: &'static str, reach: AddressScope) -> Block<Ipv6Net> {
    let g = groups;
    Block {
        net: Ipv6Net::new_assert(Ipv6Addr::new(g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7]), prefix),
        name,
        reach,
    }
}

/// The first block that holds an address decides.
const V4: [Block<Ipv4Net>; 18] = [
    v4([0, 0, 0, 0], 8, "\"This network\"", Unroutable),
    v4([10, 0, 0, 0], 8, "Private-Use", Private),
    v4([100, 64, 0, 0], 10, "Shared Address Space", Private),
    v4([127, 0, 0, 0], 8, "Loopback", Unroutable),
    v4([169, 254, 0, 0], 16, "Link Local", Unroutable),
    v4([172, 16, 0, 0], 12, "Private-Use", Private),
    v4([192, 0, 0, 9], 32, "Port Control Protocol Anycast", Public),
    v4([192, 0, 0, 10], 32, "Traversal Using Relays around NAT Anycast", Public),
    v4([192, 0, 0, 0], 24, "IETF Protocol Assignments", Unroutable),
    v4([192, 0, 2, 0], 24, "Documentation (TEST-NET-1)", Unroutable),
    v4([192, 88, 99, 0], 24, "Deprecated (6to4 Relay Anycast)", Unroutable),
    v4([192, 168, 0, 0], 16, "Private-Use", Private),
    // Resolvers of tunnels and proxies hand these out for any name, so they say nothing about a domain.
    v4([198, 18, 0, 0], 15, "Benchmarking", Private),
    v4([198, 51, 100, 0], 24, "Documentation (TEST-NET-2)", Unroutable),
    v4([203, 0, 113, 0], 24, "Documentation (TEST-NET-3)", Unroutable),
    v4([224, 0, 0, 0], 4, "Multicast", Unroutable),
    v4([240, 0, 0, 0], 4, "Reserved", Unroutable),
    v4([255, 255, 255, 255], 32, "Limited Broadcast", Unroutable),
];

/// As [`V4`]. What carries an IPv4 address was unpacked before; the last block is all that is not global unicast.
const V6: [Block<Ipv6Net>; 23] = [
    v6([0, 0, 0, 0], 128, "Unspecified Address", Unroutable),
    v6_full([0, 0, 0, 0, 0, 0, 0, 1], 128, "Loopback Address", Unroutable),
    v6([0x64, 0xff9b, 1, 0], 48, "IPv4-IPv6 Translation, local use", Private),
    v6([0x100, 0, 0, 0], 64, "Discard-Only Address Block", Unroutable),
    v6([0x100, 0, 0, 1], 64, "Dummy IPv6 Prefix", Unroutable),
    v6_full([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, "Port Control Protocol Anycast", Public),
    v6_full([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, "Traversal Using Relays around NAT Anycast", Public),
    v6_full([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, "DNS-SD Service Registration Protocol Anycast", Public),
    v6([0x2001, 2, 0, 0], 48, "Benchmarking", Private),
    v6([0x2001, 3, 0, 0], 32, "AMT", Public),
    v6([0x2001, 4, 0x112, 0], 48, "AS112-v6", Public),
    v6([0x2001, 0x20, 0, 0], 28, "ORCHIDv2", Public),
    v6([0x2001, 0x30, 0, 0], 28, "Drone Remote ID Protocol Entity Tags", Public),
    v6([0x2001, 0, 0, 0], 23, "IETF Protocol Assignments", Unroutable),
    v6([0x2001, 0xdb8, 0, 0], 32, "Documentation", Unroutable),
    v6([0x3fff, 0, 0, 0], 20, "Documentation", Unroutable),
    v6([0x5f00, 0, 0, 0], 16, "Segment Routing (SRv6) SIDs", Unroutable),
    v6([0xfc00, 0, 0, 0], 7, "Unique-Local", Private),
    v6([0xfe80, 0, 0, 0], 10, "Link-Local Unicast", Unroutable),
    v6([0xfec0, 0, 0, 0], 10, "Deprecated (Site-Local Unicast)", Private),
    v6([0xff00, 0, 0, 0], 8, "Multicast", Unroutable),
    v6([0x2000, 0, 0, 0], 3, "Global Unicast", Public),
    v6([0, 0, 0, 0], 0, "Reserved by IETF", Unroutable),
];

/// Who can reach `ip`.
pub fn reach(ip: IpAddr) -> AddressScope {
    block(ip).map_or(Public, |(_, reach)| reach)
}

/// What the registries call the block of `ip`, for evidence; `None` where the address is nothing special.
pub fn special_purpose(ip: IpAddr) -> Option<&'static str> {
    block(ip).filter(|&(_, reach)| reach != Public).map(|(name, _)| name)
}

fn block(ip: IpAddr) -> Option<(&'static str, AddressScope)> {
    match ip {
        IpAddr::V4(ip) => {
            V4.iter().find(|block| block.net.contains(&ip)).map(|block| (block.name, block.reach))
        }
        IpAddr::V6(ip) => match embedded(ip) {
            Some(inner) => block(IpAddr::V4(inner)),
            None => V6.iter().find(|block| block.net.contains(&ip)).map(|block| (block.name, block.reach)),
        },
    }
}

/// The IPv4 address that packets for this IPv6 address end up at.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match ip.segments() {
        // IPv4-mapped Address, ::ffff:0:0/96
        [0, 0, 0, 0, 0, 0xffff, high, low]
        // IPv4-IPv6 Translation, 64:ff9b::/96
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4, 2002::/16
        | [0x2002, high, low, ..] => Some(join(high, low)),
        // TEREDO, 2001::/32: the client's address, every bit turned
        [0x2001, 0, .., high, low] => Some(join(!high, !low)),
        _ => None,
    }
}

/// Networks that may be connected to whatever the registries say (`--allow-mx-net`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedNets(Vec<IpNet>);

impl AllowedNets {
    /// These networks.
    pub fn new(nets: impl IntoIterator<Item = IpNet>) -> AllowedNets {
        AllowedNets(nets.into_iter().collect())
    }

    /// Would this route be the same with these networks? A stored one may be of a time with others.
    pub fn agree_with(&self, route: &Route) -> bool {
        match route {
            Route::Hosts(mx_hosts) => {
                mx_hosts.iter().flat_map(|mx_host| &mx_host.addresses).all(|&ip| self.reach(ip) == Public)
            }
            Route::Unroutable(ip) => self.reach(*ip) == Unroutable,
            Route::NullMx | Route::Absent(_) | Route::Failed(_) => true,
        }
    }

    /// Who can reach `ip`, counting what is allowed as public. A v4-mapped address is allowed with its IPv4 form.
    pub fn reach(&self, ip: IpAddr) -> AddressScope {
        let plain = ip.to_canonical();
        if self.0.iter().any(|net| net.contains(&ip) || net.contains(&plain)) { Public } else { reach(ip) }
    }
}

impl fmt::Display for AllowedNets {
    /// In order, with blanks between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nets = self.0.clone();
        nets.sort_unstable();
        let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
        f.write_str(&nets.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_special_purpose_is_known_at_both_ends_of_its_block() {
        for (text, expected) in [
            ("8.8.8.8", Public),
            ("0.0.0.0", Unroutable),
            ("0.255.255.255", Unroutable),
            ("1.0.0.0", Public),
            ("9.255.255.255", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Private),
            ("100.127.255.255", Private),
            ("100.128.0.0", Public),
            ("127.0.0.1", Unroutable),
            ("127.255.255.255", Unroutable),
            ("169.254.169.254", Unroutable),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.0.0.8", Unroutable),
            ("192.0.0.9", Public),
            ("192.0.2.1", Unroutable),
            ("192.88.99.1", Unroutable),
            ("192.168.255.255", Private),
            ("198.17.255.255", Public),
            ("198.18.0.0", Private),
            ("198.19.255.255", Private),
            ("198.51.100.1", Unroutable),
            ("203.0.113.255", Unroutable),
            ("223.255.255.255", Public),
            ("224.0.0.1", Unroutable),
            ("239.255.255.255", Unroutable),
            ("240.0.0.1", Unroutable),
            ("255.255.255.255", Unroutable),
            ("2606:4700::1", Public),
            ("::", Unroutable),
            ("::1", Unroutable),
            ("::7f00:1", Unroutable),
            ("64:ff9b:1::1", Private),
            ("100::1", Unroutable),
            ("100:0:0:1::1", Unroutable),
            ("2001:1::1", Public),
            ("2001:1::4", Unroutable),
            ("2001:2::1", Private),
            ("2001:10::1", Unroutable),
            ("2001:20::1", Public),
            ("2001:1ff:ffff::1", Unroutable),
            ("2001:200::1", Public),
            ("2001:db8::1", Unroutable),
            ("3fff:fff::1", Unroutable),
            ("3fff:1000::1", Public),
            ("4000::1", Unroutable),
            ("5f00::1", Unroutable),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fe80::1", Unroutable),
            ("febf::1", Unroutable),
            ("fec0::1", Private),
            ("ff02::1", Unroutable),
        ] {
            assert_eq!(reach(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_carries_an_ipv4_address_is_judged_by_it() {
        for (text, expected) in [
            ("::ffff:127.0.0.1", Unroutable),
            ("::ffff:10.1.2.3", Private),
            ("::ffff:8.8.8.8", Public),
            ("64:ff9b::127.0.0.1", Unroutable),
            ("64:ff9b::192.168.0.1", Private),
            ("64:ff9b::8.8.8.8", Public),
            ("2002:7f00:1::", Unroutable),
            ("2002:a00:1::1", Private),
            ("2002:808:808::1", Public),
            // !7f00:0001 and !0a00:0001
            ("2001:0:808:808:0:0:80ff:fffe", Unroutable),
            ("2001:0:808:808:0:0:f5ff:fffe", Private),
        ] {
            assert_eq!(reach(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn an_allowed_network_is_public_and_nothing_beside_it() {
        let allowed = AllowedNets::new(["127.0.0.0/30".parse().unwrap(), "fd00::/16".parse().unwrap()]);
        for (text, expected) in [
            ("127.0.0.3", Public),
            ("::ffff:127.0.0.3", Public),
            ("127.0.0.4", Unroutable),
            ("fd00::1", Public),
            ("fd01::1", Private),
        ] {
            assert_eq!(allowed.reach(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn evidence_can_name_the_block() {
        assert_eq!(special_purpose(ip("127.0.0.1")), Some("Loopback"));
        assert_eq!(special_purpose(ip("::ffff:10.0.0.1")), Some("Private-Use"));
        assert_eq!(special_purpose(ip("8.8.8.8")), None);
        assert_eq!(special_purpose(ip("2606:4700::1")), None);
    }

    proptest! {
        #[test]
        fn no_form_of_an_address_is_more_public_than_the_address(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            let [a, b, c, d] = inner.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for form in [
                inner.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 1, 1, 0, 0, !high, !low),
            ] {
                prop_assert_eq!(reach(form.into()), reach(inner.into()), "{}", form);
            }
        }
    }
}
