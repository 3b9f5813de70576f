//! A connection of bytes: TCP, or a socket of this machine.

use std::{
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BytesMut, buf::Limit};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::address::Address;

/// A peer that does not acknowledge what was sent is gone after this, and one of which nothing was heard is asked. (One that
/// hangs acknowledges: its system does.)
const DEAD: Duration = Duration::from_secs(10);

/// How long until it is asked again.
#[cfg(any(windows, target_vendor = "apple", target_os = "android", target_os = "freebsd", target_os = "linux"))]
const AGAIN: Duration = Duration::from_secs(5);

/// How often it is asked, where the time for an acknowledgement does not end it before.
#[cfg(any(windows, target_vendor = "apple", target_os = "android", target_os = "freebsd", target_os = "linux"))]
const TIMES: u32 = 3;

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

macro_rules! each {
    ($socket:expr, $stream:ident => $work:expr) => {
        match $socket {
            Socket::Tcp($stream) => $work,
            #[cfg(unix)]
            Socket::Unix($stream) => $work,
        }
    };
}

impl Socket {
    /// Connects. Needs a runtime that does input and output, and says so in an error.
    pub(super) async fn connect(address: &Address) -> io::Result<Self> {
        let mut connecting = pin!(Self::open(address));
        // Tokio says that there is none in a panic and in no other way.
        let polled =
            |context: &mut Context<'_>| match catch_unwind(AssertUnwindSafe(|| connecting.as_mut().poll(context))) {
                Ok(polled) => polled,
                Err(_) => Poll::Ready(Err(io::Error::other("this runtime was built without `enable_io`"))),
            };
        poll_fn(polled).await
    }

    async fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // Commands are short, and waited for.
                stream.set_nodelay(true)?;
                notice_death(&stream)?;
                Ok(Self::Tcp(stream))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::other("there are no such sockets on this system")),
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.try_write(bytes))
    }

    pub(super) fn try_read(&self, into: &mut Limit<&mut BytesMut>) -> io::Result<usize> {
        each!(self, stream => stream.try_read_buf(into))
    }

    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_write_ready(context))
    }

    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read_ready(context))
    }
}

/// Changes are waited for as long as their connection is there. So it is not to be there for ever when nobody is at its
/// other end, which a machine that lost its power, or a firewall that forgot it, does not tell.
fn notice_death(stream: &TcpStream) -> io::Result<()> {
    let alive = TcpKeepalive::new().with_time(DEAD);
    #[cfg(any(windows, target_vendor = "apple", target_os = "android", target_os = "freebsd", target_os = "linux"))]
    let alive = alive.with_interval(AGAIN).with_retries(TIMES);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&alive)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(DEAD))?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_whose_other_end_is_gone_ends_by_itself() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: listener.local_addr()?.port() };
        let Socket::Tcp(stream) = Socket::connect(&address).await? else { panic!("it is TCP") };
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive()?);
        assert_eq!(socket.tcp_keepalive_time()?, DEAD);
        assert_eq!((socket.tcp_keepalive_interval()?, socket.tcp_keepalive_retries()?), (AGAIN, TIMES));
        assert_eq!(socket.tcp_user_timeout()?, Some(DEAD));
        Ok(())
    }
}
