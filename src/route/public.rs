//! Which IP addresses may be connected to.
//!
//! Decides: by the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), whether an address is globally
//! reachable, and if not, whether a private network may use it ([`AddressScope::Private`]) or no network can
//! ([`AddressScope::Unroutable`]). An address that embeds an IPv4 address (v4-mapped, NAT64, 6to4, Teredo) has the scope of
//! that one. Must not: resolve names. Can't know: what an unusual network does with its own addresses; its administrator
//! says so by [`AllowedNets`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use self::AddressScope::{Private, Public, Unroutable};

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressScope {
    /// From the whole Internet.
    Public,
    /// From inside a private network: split-horizon DNS, a resolver that rewrites answers, or a mistake. Says nothing about
    /// a domain.
    Private,
    /// From the host itself at most: no mail can be delivered there.
    Unroutable,
}

/// A row of the registries: a block that is not globally reachable, or an exception within one.
struct Block<Net> {
    net: Net,
    scope: AddressScope,
}

const fn v4(octets: [u8; 4], prefix: u8, scope: AddressScope) -> Block<Ipv4Net> {
    let [a, b, c, d] = octets;
    Block { net: Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix), scope }
}

/// A block by its first four groups; the others are zero.
const fn v6(head: [u16; 4], prefix: u8, scope: AddressScope) -> Block<Ipv6Net> {
    v6_full([head[0], head[1], head[2], head[3], 0, 0, 0, 0], prefix, scope)
}

const fn v6_full(groups: [u16; 8], prefix: u8, scope: AddressScope) -> Block<Ipv6Net> {
    let g = groups;
    let ip = Ipv6Addr::new(g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7]);
    Block { net: Ipv6Net::new_assert(ip, prefix), scope }
}

/// The IPv4 blocks, with their names in the registry. The first one that contains an address decides.
const V4: [Block<Ipv4Net>; 18] = [
    v4([0, 0, 0, 0], 8, Unroutable),      // "This network"
    v4([10, 0, 0, 0], 8, Private),        // Private-Use
    v4([100, 64, 0, 0], 10, Private),     // Shared Address Space
    v4([127, 0, 0, 0], 8, Unroutable),    // Loopback
    v4([169, 254, 0, 0], 16, Unroutable), // Link Local
    v4([172, 16, 0, 0], 12, Private),     // Private-Use
    v4([192, 0, 0, 9], 32, Public),       // Port Control Protocol Anycast
    v4([192, 0, 0, 10], 32, Public),      // Traversal Using Relays around NAT Anycast
    v4([192, 0, 0, 0], 24, Unroutable),   // IETF Protocol Assignments
    v4([192, 0, 2, 0], 24, Unroutable),   // Documentation (TEST-NET-1)
    v4([192, 88, 99, 0], 24, Unroutable), // Deprecated (6to4 Relay Anycast)
    v4([192, 168, 0, 0], 16, Private),    // Private-Use
    // Benchmarking. Resolvers of tunnels and proxies return these for any name, so they say nothing about a domain.
    v4([198, 18, 0, 0], 15, Private),
    v4([198, 51, 100, 0], 24, Unroutable), // Documentation (TEST-NET-2)
    v4([203, 0, 113, 0], 24, Unroutable),  // Documentation (TEST-NET-3)
    v4([224, 0, 0, 0], 4, Unroutable),     // Multicast
    v4([240, 0, 0, 0], 4, Unroutable),     // Reserved
    v4([255, 255, 255, 255], 32, Unroutable), // Limited Broadcast
];

/// The IPv6 blocks, as [`V4`], for addresses that embed no IPv4 address. The last block is everything outside global unicast.
const V6: [Block<Ipv6Net>; 23] = [
    v6([0, 0, 0, 0], 128, Unroutable),                   // Unspecified Address
    v6_full([0, 0, 0, 0, 0, 0, 0, 1], 128, Unroutable),  // Loopback Address
    v6([0x64, 0xff9b, 1, 0], 48, Private),               // IPv4-IPv6 Translation, local use
    v6([0x100, 0, 0, 0], 64, Unroutable),                // Discard-Only Address Block
    v6([0x100, 0, 0, 1], 64, Unroutable),                // Dummy IPv6 Prefix
    v6_full([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, Public), // Port Control Protocol Anycast
    v6_full([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, Public), // Traversal Using Relays around NAT Anycast
    v6_full([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, Public), // DNS-SD Service Registration Protocol Anycast
    v6([0x2001, 2, 0, 0], 48, Private),                  // Benchmarking
    v6([0x2001, 3, 0, 0], 32, Public),                   // AMT
    v6([0x2001, 4, 0x112, 0], 48, Public),               // AS112-v6
    v6([0x2001, 0x20, 0, 0], 28, Public),                // ORCHIDv2
    v6([0x2001, 0x30, 0, 0], 28, Public),                // Drone Remote ID Protocol Entity Tags
    v6([0x2001, 0, 0, 0], 23, Unroutable),               // IETF Protocol Assignments
    v6([0x2001, 0xdb8, 0, 0], 32, Unroutable),           // Documentation
    v6([0x3fff, 0, 0, 0], 20, Unroutable),               // Documentation
    v6([0x5f00, 0, 0, 0], 16, Unroutable),               // Segment Routing (SRv6) SIDs
    v6([0xfc00, 0, 0, 0], 7, Private),                   // Unique-Local
    v6([0xfe80, 0, 0, 0], 10, Unroutable),               // Link-Local Unicast
    v6([0xfec0, 0, 0, 0], 10, Private),                  // Deprecated (Site-Local Unicast)
    v6([0xff00, 0, 0, 0], 8, Unroutable),                // Multicast
    v6([0x2000, 0, 0, 0], 3, Public),                    // Global Unicast
    v6([0, 0, 0, 0], 0, Unroutable),                     // Reserved by IETF
];

/// The scope of an address by the registries.
fn scope(ip: IpAddr) -> AddressScope {
    fn of_first<Net>(blocks: &[Block<Net>], contains: impl Fn(&Net) -> bool) -> AddressScope {
        blocks.iter().find(|block| contains(&block.net)).map_or(Public, |block| block.scope)
    }
    match ip {
        IpAddr::V4(ip) => of_first(&V4, |net| net.contains(&ip)),
        IpAddr::V6(ip) => match embedded_ipv4(ip) {
            Some(inner) => scope(IpAddr::V4(inner)),
            None => of_first(&V6, |net| net.contains(&ip)),
        },
    }
}

/// The IPv4 address that an IPv6 address embeds: packets to the one go to the other.
fn embedded_ipv4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
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
        // TEREDO, 2001::/32: the client's address with every bit inverted
        [0x2001, 0, .., high, low] => Some(join(!high, !low)),
        _ => None,
    }
}

/// Networks that may be connected to even if the registries say otherwise (`--allow-mx-net`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedNets(Vec<IpNet>);

impl AllowedNets {
    /// Allows these networks.
    pub fn new(nets: impl IntoIterator<Item = IpNet>) -> AllowedNets {
        AllowedNets(nets.into_iter().collect())
    }

    /// The scope of an address; an allowed address is public. A v4-mapped address is allowed with its IPv4 form.
    pub fn scope(&self, ip: IpAddr) -> AddressScope {
        let plain = ip.to_canonical();
        if self.0.iter().any(|net| net.contains(&ip) || net.contains(&plain)) { Public } else { scope(ip) }
    }

    /// True if a mail server with this address may be connected to.
    pub(crate) fn may_connect(&self, ip: IpAddr) -> bool {
        self.scope(ip) == Public
    }

    /// True if only an inner network or this machine uses the address, so that no receiver elsewhere sees it. Addresses for
    /// documentation are none of these.
    pub(crate) fn is_internal(ip: IpAddr) -> bool {
        let is_linked = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
        };
        scope(ip) == Private || ip.is_loopback() || ip.is_unspecified() || is_linked
    }
}

impl fmt::Display for AllowedNets {
    /// Sorted, separated by spaces.
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
    fn each_block_has_its_scope_up_to_both_ends() {
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
            assert_eq!(scope(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn an_embedded_ipv4_address_decides() {
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
            assert_eq!(scope(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn an_allowed_network_is_public_and_its_neighbors_are_not() {
        let allowed = AllowedNets::new(["127.0.0.0/30".parse().unwrap(), "fd00::/16".parse().unwrap()]);
        for (text, expected) in [
            ("127.0.0.3", Public),
            ("::ffff:127.0.0.3", Public),
            ("127.0.0.4", Unroutable),
            ("fd00::1", Public),
            ("fd01::1", Private),
        ] {
            assert_eq!(allowed.scope(ip(text)), expected, "{text}");
        }
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
                prop_assert_eq!(scope(form.into()), scope(inner.into()), "{}", form);
            }
        }
    }
}
