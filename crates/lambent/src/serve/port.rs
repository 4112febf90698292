//! Opens the listener; a busy port names its holder.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::net::{TcpListener, TcpSocket};

/// Connections the kernel keeps for us until we accept them.
const BACKLOG: u32 = 1024;

pub(super) fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the last connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match holder(address.port()) {
            Some((pid, name)) => bail!(
                "port {} is held by process {pid} ({name}); stop it, or listen elsewhere with --listen 127.0.0.1:PORT",
                address.port()
            ),
            None => bail!("port {} is held by another user's process; listen elsewhere with --listen", address.port()),
        },
        Err(error) => Err(error).with_context(|| format!("listening on {address}")),
    }
}

/// Pid and name of the process that listens on a TCP port, as far as this user may see.
fn holder(port: u16) -> Option<(u32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(|line| listening(line, port)).collect::<Vec<_>>())
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors
            .flatten()
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()));
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// The inode of a line of `/proc/net/tcp` that listens on `port`. Source: proc_pid_net(5).
fn listening(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let (_, hex) = local.rsplit_once(':')?;
    (state == "0A" && u16::from_str_radix(hex, 16).ok()? == port).then(|| inode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(holder(port).map(|(pid, _)| pid), Some(std::process::id()));
    }
}
