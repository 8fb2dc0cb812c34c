//! What a figure depends on besides the program: the machine.

use std::fs;
use std::path::Path;

/// One line about this machine, and the disk below this directory.
pub fn facts(directory: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let information = read("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores of {model}, Linux {}, journal on {}",
        kernel.trim(),
        file_system(directory, &read("/proc/mounts"))
    )
}

/// The kind of the file system that holds this directory: of the mounts above it, the longest.
fn file_system<'a>(directory: &Path, mounts: &'a str) -> &'a str {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(mount, _)| directory.starts_with(mount));
    above.max_by_key(|(mount, _)| mount.len()).map_or("an unknown file system", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "a / ext4 rw 0 0\nb /var tmpfs rw 0 0\nc /variable xfs rw 0 0\n";
        assert_eq!(file_system(Path::new("/var/lib"), mounts), "tmpfs");
        assert_eq!(file_system(Path::new("/usr"), mounts), "ext4");
    }
}
