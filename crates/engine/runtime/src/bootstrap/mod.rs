//! The programs we put in front of a function's code, shipped inside the binary.

/// Where the bootstraps stand inside a sandbox: the binary writes [`bootstraps`] to a folder and mounts it here, read-only.
pub const BOOTSTRAP_FOLDER: &str = "/var/lang/lambent";

/// Every file of our bootstraps: its path below [`BOOTSTRAP_FOLDER`], and its bytes.
pub fn bootstraps() -> &'static [(&'static str, &'static [u8])] {
    &[
        ("python/bootstrap.py", include_bytes!("python/bootstrap.py")),
        ("python/faults.py", include_bytes!("python/faults.py")),
        ("python/logs.py", include_bytes!("python/logs.py")),
        ("python/streams.py", include_bytes!("python/streams.py")),
        ("python/zygote.py", include_bytes!("python/zygote.py")),
        ("python/thrift.py", include_bytes!("python/thrift.py")),
        ("python/rehearsal.py", include_bytes!("python/rehearsal.py")),
        ("python/sdk.py", include_bytes!("python/sdk.py")),
        ("python/decimals.py", include_bytes!("python/decimals.py")),
        ("python/image.py", include_bytes!("python/image.py")),
        ("python/snapshot.py", include_bytes!("python/snapshot.py")),
        ("python/pages.py", include_bytes!("python/pages.py")),
        ("python/descriptors.py", include_bytes!("python/descriptors.py")),
        ("python/bytecode.py", include_bytes!("python/bytecode.py")),
        ("python/compile.py", include_bytes!("python/compile.py")),
        ("python/restore.py", include_bytes!("python/restore.py")),
        ("python/runtime/snapshot_restore_py.py", include_bytes!("python/runtime/snapshot_restore_py.py")),
        ("node/bootstrap.cjs", include_bytes!("node/bootstrap.cjs")),
    ]
}
