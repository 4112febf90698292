//! The kernel a machine boots, the modules it needs, and its first file system, made of this program, the shared
//! libraries it runs with, and those modules.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::cpio::Archive;
use super::guest;

/// Where to look for another kernel than the host's own: a folder with `boot/vmlinuz-*` and `lib/modules/*`.
pub(super) const VARIABLE: &str = "LAMBENT_MICROVM_KERNEL";

/// What a machine cannot do without: its devices, its channel, the share of the host's folders.
const NEEDED: &[&str] = &["virtio_mmio", "virtio_console", "9p", "9pnet_virtio"];
/// What lets a function reach out, and its layers lie over each other.
const WANTED: &[&str] = &[
    "crc32c_generic",
    "overlay",
    "nf_tables",
    "nft_chain_nat",
    "nft_redir",
    "nft_ct",
    "nft_limit",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
];

/// A kernel and its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// In the order they are loaded.
    modules: Vec<PathBuf>,
}

/// Finds the newest kernel below `root` that can be a machine's.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn find(root: &Path) -> Result<Kernel, String> {
    let boot = root.join("boot");
    let mut images: Vec<_> = fs::read_dir(&boot)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let release = entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned();
            let changed = entry.metadata().ok()?.modified().ok()?;
            Some((changed, entry.path(), release))
        })
        .collect();
    images.sort();
    let mut why = format!("there is no kernel {}/vmlinuz-*", boot.display());
    for (_, image, release) in images.into_iter().rev() {
        match modules(&root.join("lib/modules").join(&release)) {
            Ok(_) if fs::File::open(&image).is_err() => why = format!("{} cannot be read", image.display()),
            Ok(modules) => return Ok(Kernel { image, modules }),
            Err(error) => why = format!("the kernel {release}: {error}"),
        }
    }
    Err(why)
}

/// The files of the modules a machine needs, each after those it needs itself.
fn modules(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = HashMap::new();
    collect(&folder.join("kernel"), &mut files);
    let built_in = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
    let built_in: Vec<String> = built_in.lines().filter_map(|line| name(Path::new(line))).collect();
    let listed = Listed::read(folder);
    let mut order = Vec::new();
    for module in NEEDED.iter().chain(WANTED) {
        let needed = NEEDED.contains(module);
        if !files.contains_key(*module) && !built_in.iter().any(|name| name == module) && needed {
            return Err(format!("it has no module {module} in {}", folder.display()));
        }
        add(module, &files, &listed, &mut order);
    }
    Ok(order)
}

fn add(module: &str, files: &HashMap<String, PathBuf>, listed: &Listed, order: &mut Vec<PathBuf>) {
    let Some(file) = files.get(module) else { return };
    if order.contains(file) {
        return;
    }
    for dependency in listed.of(module, file) {
        // No module needs itself, by way of others or directly: the kernel's own tools refuse to build such.
        add(&dependency, files, listed, order);
    }
    order.push(file.clone());
}

/// The name of a module's file, as the kernel writes it.
fn name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    Some(name.split_once(".ko")?.0.replace('-', "_"))
}

fn collect(folder: &Path, into: &mut HashMap<String, PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match (entry.file_type(), name(&path)) {
            (Ok(kind), _) if kind.is_dir() => collect(&path, into),
            (_, Some(name)) => drop(into.insert(name, path)),
            _ => {}
        }
    }
}

/// What needs what, as `depmod` wrote it when the kernel was installed.
struct Listed(HashMap<String, Vec<String>>);

impl Listed {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("modules.dep")).unwrap_or_default();
        let line = |line: &str| {
            let (module, needs) = line.split_once(':')?;
            Some((
                name(Path::new(module))?,
                needs.split_whitespace().filter_map(|file| name(Path::new(file))).collect(),
            ))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// What a module needs: as listed, else as it says itself where it is not compressed.
    fn of(&self, module: &str, file: &Path) -> Vec<String> {
        if let Some(needs) = self.0.get(module) {
            // The list is of all, the last needed first.
            return needs.iter().rev().cloned().collect();
        }
        const FIELD: &[u8] = b"\0depends=";
        let bytes = fs::read(file).unwrap_or_default();
        let Some(at) = bytes.windows(FIELD.len()).position(|window| window == FIELD) else { return Vec::new() };
        let text: Vec<u8> = bytes[at + FIELD.len()..].iter().copied().take_while(|byte| *byte != 0).collect();
        let names = String::from_utf8_lossy(&text).replace('-', "_");
        names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

/// The shared libraries this process runs with, from its own map. The program of the machine is the same program.
fn libraries() -> io::Result<Vec<PathBuf>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut files: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains(".so")))
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Writes a machine's first file system.
pub(super) fn write_initramfs(to: &Path, program: &Path, kernel: &Kernel) -> io::Result<()> {
    let named = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    let mut archive = Archive::new(BufWriter::new(fs::File::create(to).map_err(named(to))?));
    for folder in ["dev", "proc", "lib", "lib64", "modules"] {
        archive.folder(folder)?;
    }
    archive.file("init", &fs::read(program).map_err(named(program))?)?;
    for library in libraries()? {
        let Some(name) = library.file_name().and_then(|name| name.to_str()) else { continue };
        let bytes = fs::read(&library).map_err(named(&library))?;
        archive.file(&format!("lib/{name}"), &bytes)?;
        if name.starts_with("ld") {
            // Where programs of the x86-64 name it.
            archive.file(&format!("lib64/{name}"), &bytes)?;
        }
    }
    let mut order = String::new();
    for module in &kernel.modules {
        let Some(name) = module.file_name().and_then(|name| name.to_str()) else { continue };
        archive.file(&format!("modules/{name}"), &fs::read(module).map_err(named(module))?)?;
        order.push_str(&format!("{name}\n"));
    }
    archive.file(guest::MODULES.trim_start_matches('/'), order.as_bytes())?;
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a kernel of these modules, each with what it needs.
    fn host(release: &str, modules: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("lib/modules").join(release).join("kernel/drivers");
        fs::create_dir_all(root.path().join("boot")).unwrap();
        fs::create_dir_all(&folder).unwrap();
        fs::write(root.path().join("boot").join(format!("vmlinuz-{release}")), "kernel").unwrap();
        for (name, needs) in modules {
            fs::write(folder.join(format!("{name}.ko")), format!("x\0license=GPL\0depends={needs}\0y")).unwrap();
        }
        root
    }

    fn names(kernel: &Kernel) -> Vec<String> {
        kernel.modules.iter().filter_map(|path| name(path)).collect()
    }

    const MODULES: &[(&str, &str)] = &[
        ("virtio", ""),
        ("virtio_mmio", "virtio"),
        ("virtio_console", "virtio"),
        ("9pnet", ""),
        ("9p", "9pnet"),
        ("9pnet_virtio", "9pnet,virtio"),
    ];

    #[test]
    fn modules_come_after_what_they_need() {
        let root = host("6.1", MODULES);
        let kernel = find(root.path()).unwrap();
        assert_eq!(names(&kernel), ["virtio", "virtio_mmio", "virtio_console", "9pnet", "9p", "9pnet_virtio"]);
    }

    #[test]
    fn the_list_of_an_installed_kernel_is_believed() {
        let root = host("6.1", &[("virtio", ""), ("virtio_mmio", ""), ("9p", ""), ("9pnet", "")]);
        let folder = root.path().join("lib/modules/6.1");
        fs::write(folder.join("modules.dep"), "kernel/a/9p.ko: kernel/b/9pnet.ko kernel/b/virtio.ko\n").unwrap();
        fs::write(folder.join("modules.builtin"), "kernel/x/virtio_console.ko\nkernel/x/9pnet-virtio.ko\n").unwrap();
        assert_eq!(names(&find(root.path()).unwrap()), ["virtio_mmio", "virtio", "9pnet", "9p"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let empty = tempfile::tempdir().unwrap();
        assert!(find(empty.path()).unwrap_err().contains("vmlinuz-*"));
        let without = host("6.1-cloud", &MODULES[..4]);
        assert!(find(without.path()).unwrap_err().contains("no module 9p "));
    }

    #[test]
    fn this_process_runs_with_libraries() {
        let libraries = libraries().unwrap();
        assert!(libraries.iter().any(|path| path.to_string_lossy().contains("libc.so")), "{libraries:?}");
    }
}
