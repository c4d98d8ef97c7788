use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

fn opened() -> (TempDir, Cache) {
    let outer = TempDir::new().unwrap();
    let cache = Cache::open(&outer.path().join("deep/policies"), &"engine").unwrap();
    (outer, cache)
}

fn artefact(byte: u8, length: usize) -> Artefact {
    Artefact::returned(vec![byte; length])
}

fn got(cache: &Cache, digest: &str) -> Option<Vec<u8>> {
    cache.get(digest).map(|artefact| artefact.bytes().to_vec())
}

fn names(cache: &Cache) -> Vec<String> {
    let entries = fs::read_dir(&cache.folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_put_is_found_by_the_same_engine_only() {
    let (_outer, cache) = opened();
    assert_eq!(got(&cache, "aa"), None);
    cache.put("aa", &artefact(1, 100));
    assert_eq!(got(&cache, "aa"), Some(vec![1; 100]));
    assert_eq!(got(&cache, "ab"), None);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&cache.folder), mode(&cache.folder.join(cache.key("aa")))), (0o700, 0o600));
    assert_eq!(names(&cache).len(), 1, "nothing half written stays");

    let again = Cache::open(&cache.folder, &"engine").unwrap();
    assert_eq!(got(&again, "aa"), Some(vec![1; 100]), "over restarts");
    let other = Cache::open(&cache.folder, &"another engine").unwrap();
    assert_eq!(got(&other, "aa"), None);
}

#[test]
fn a_damaged_entry_is_removed() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("truncated", |bytes| bytes.truncate(90)),
        ("truncated to less than a checksum", |bytes| bytes.truncate(7)),
        ("emptied", Vec::clear),
        ("a flipped bit", |bytes| bytes[50] ^= 0x10),
        ("a longer one", |bytes| bytes.push(0)),
    ];
    for (damage, inflict) in damages {
        let (_outer, cache) = opened();
        cache.put("aa", &artefact(1, 100));
        let path = cache.folder.join(cache.key("aa"));
        let mut bytes = fs::read(&path).unwrap();
        inflict(&mut bytes);
        fs::write(&path, bytes).unwrap();
        assert_eq!(got(&cache, "aa"), None, "{damage}");
        assert!(!path.exists(), "{damage}");
        cache.put("aa", &artefact(1, 100));
        assert_eq!(got(&cache, "aa"), Some(vec![1; 100]), "and is kept anew: {damage}");
    }
}

#[test]
fn an_entry_under_another_name_is_not_taken() {
    let (_outer, cache) = opened();
    cache.put("aa", &artefact(1, 100));
    fs::rename(cache.folder.join(cache.key("aa")), cache.folder.join(cache.key("bb"))).unwrap();
    assert_eq!(got(&cache, "bb"), None);
}

#[test]
fn a_folder_that_others_may_enter_is_refused() {
    let (outer, cache) = opened();
    for mode in [0o755, 0o750, 0o701, 0o770, 0o1777] {
        fs::set_permissions(&cache.folder, Permissions::from_mode(mode)).unwrap();
        let refused = Cache::open(&cache.folder, &"engine").unwrap_err();
        assert!(refused.contains(&format!("mode {mode:04o}, expected 0700")), "{refused}");
    }
    fs::set_permissions(&cache.folder, Permissions::from_mode(0o700)).unwrap();
    let link = outer.path().join("link");
    std::os::unix::fs::symlink(&cache.folder, &link).unwrap();
    assert!(Cache::open(&link, &"engine").unwrap_err().contains("is not a folder"));
    let file = outer.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Cache::open(&file, &"engine").unwrap_err().contains("cannot be created"));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&cache.folder, Some(4711), None).unwrap();
        let refused = Cache::open(&cache.folder, &"engine").unwrap_err();
        assert!(refused.contains("belongs to user 4711, expected 0"), "{refused}");
    }
}

#[test]
fn what_was_not_used_for_longest_is_evicted() {
    let (_outer, mut cache) = opened();
    cache.max_bytes = 3 * (100 + CHECKSUM_BYTES as u64);
    fs::write(cache.folder.join("notes.txt"), vec![0; 5000]).unwrap();
    let age = |name: &str, seconds| {
        let file = File::options().write(true).open(cache.folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    for (digest, seconds) in [("aa", 30), ("bb", 20), ("cc", 10)] {
        cache.put(digest, &artefact(1, 100));
        age(&cache.key(digest), seconds);
    }
    assert!(got(&cache, "aa").is_some(), "used just now, though made first");
    cache.put("dd", &artefact(1, 100));
    assert_eq!(got(&cache, "bb"), None);
    for digest in ["aa", "cc", "dd"] {
        assert!(got(&cache, digest).is_some(), "{digest}");
    }
    assert!(names(&cache).contains(&"notes.txt".to_owned()), "what is not the cache's own stays");

    cache.put("too-large", &artefact(1, 1000));
    assert_eq!(got(&cache, "too-large"), None);
    assert!(got(&cache, "dd").is_some(), "and displaces nothing");

    fs::write(cache.folder.join(format!("1-1{UNFINISHED}")), vec![0; 100]).unwrap();
    age(&format!("1-1{UNFINISHED}"), 1000);
    cache.put("ee", &artefact(1, 100));
    assert!(!names(&cache).iter().any(|name| name.ends_with(UNFINISHED)), "what a crash left goes too");
}
