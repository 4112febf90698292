//! `lambent ca`: the certificate of the local authority, for clients and for the host's own store of trusted authorities.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use base::{Clocks, SystemClocks};
use store::{Folder, Use};

use crate::serve::{certificates, default_data};
use crate::setup::own_uid;

/// Where Debian and Ubuntu look for authorities that the host's administrator trusts. Source: update-ca-certificates(8).
const STORE: &str = "/usr/local/share/ca-certificates";
/// Makes of them what programs read.
const UPDATE: &str = "update-ca-certificates";

/// What `lambent ca` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print the certificate itself.
    #[arg(long, conflicts_with_all = ["install", "uninstall"])]
    pem: bool,
    /// Have every program of this machine trust it: as root, on Debian and Ubuntu.
    #[arg(long, conflicts_with = "uninstall")]
    install: bool,
    /// Take that back.
    #[arg(long)]
    uninstall: bool,
    /// The data folder; by default `lambent` in `$XDG_DATA_HOME`.
    #[arg(long, env = "LAMBENT_DATA")]
    data: Option<PathBuf>,
}

/// Prints, installs or uninstalls. The authority is made when there is none; no platform needs to run.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let data = std::path::absolute(arguments.data.map_or_else(default_data, Ok)?)?;
    if arguments.uninstall {
        return uninstall(&data);
    }
    make_folder(&data)?;
    let pair = certificates::read_or_make(&data, SystemClocks.signing())?;
    if arguments.pem {
        print!("{}", pair.certificate);
        return Ok(());
    }
    if arguments.install {
        return install(&pair.certificate);
    }
    tell(&certificates::certificate(&data), &data);
    Ok(())
}

/// A folder that was never used becomes one that is.
fn make_folder(data: &Path) -> anyhow::Result<()> {
    if data.join("format").exists() {
        return Ok(());
    }
    match Folder::open(data, Use::Keep) {
        // One that is in use is there.
        Ok(_) | Err(store::Error::InUse { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Lines for a shell: what it is told, and what it may evaluate.
fn tell(certificate: &Path, data: &Path) {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let certificate = quoted(certificate);
    println!(
        "# Who trusts this certificate believes the platform's at https://localhost:4566 and below. Its authority vouches for"
    );
    println!(
        "# localhost and its subdomains, localhost.localstack.cloud and its subdomains, and addresses, and for no other name."
    );
    println!("export AWS_CA_BUNDLE={certificate}        # AWS CLI, boto3");
    println!("export NODE_EXTRA_CA_CERTS={certificate}  # Node");
    println!("# curl --cacert {certificate} https://localhost:4566/_lambent/health");
    println!(
        "# sudo lambent ca --install --data {}  # every program of this machine; --uninstall takes it back",
        quoted(data)
    );
}

/// The authority's file in the host's store.
fn installed(certificate: &str) -> PathBuf {
    // Authorities of several data folders stand beside each other.
    let id: String = store::Digest::of(certificate.as_bytes()).to_string().chars().take(8).collect();
    Path::new(STORE).join(format!("lambent-{id}.crt"))
}

fn install(certificate: &str) -> anyhow::Result<()> {
    check_host("--install")?;
    let file = installed(certificate);
    let written = fs::File::create(&file).and_then(|mut file| file.write_all(certificate.as_bytes()));
    written.with_context(|| format!("writing {}", file.display()))?;
    println!("wrote {}", file.display());
    update()
}

fn uninstall(data: &Path) -> anyhow::Result<()> {
    check_host("--uninstall")?;
    let path = certificates::certificate(data);
    let certificate = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let file = installed(&certificate);
    if !file.exists() {
        println!("{} is not there: nothing to take back", file.display());
        return Ok(());
    }
    fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
    println!("removed {}", file.display());
    update()
}

fn check_host(flag: &str) -> anyhow::Result<()> {
    if own_uid() != 0 {
        bail!(
            "lambent ca {flag} changes what every program of this machine trusts: run it with sudo, and name the data folder with --data"
        );
    }
    ensure!(
        Path::new(STORE).is_dir(),
        "this host has no {STORE}: `lambent ca --pem` prints the certificate, to be trusted as its system has it"
    );
    Ok(())
}

fn update() -> anyhow::Result<()> {
    let done = Command::new(UPDATE).status().with_context(|| format!("running {UPDATE}"))?;
    ensure!(done.success(), "{UPDATE} failed");
    println!("ran {UPDATE}. Browsers and Java have stores of their own, which it does not touch");
    Ok(())
}
