//! Whether this machine has a route to a host, without sending anything to it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use tokio::net::lookup_host;
use url::Url;

pub(crate) async fn has_route(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let Ok(mut addresses) = lookup_host((host, port)).await else { return false };
    addresses.any(is_routable)
}

fn is_routable(address: SocketAddr) -> bool {
    let any_local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // To connect a UDP socket selects a route and sends nothing.
    UdpSocket::bind(any_local).and_then(|socket| socket.connect(address)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_with_a_route_is_enough() {
        // No system connects to all hosts of the network.
        for (url, expected) in [
            ("http://127.0.0.1:1", true),
            ("https://localhost", true),
            ("https://255.255.255.255", false),
            ("https://no-such-host.invalid", false),
        ] {
            assert_eq!(has_route(&url.parse().unwrap()).await, expected, "{url}");
        }
    }
}
