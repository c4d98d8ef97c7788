use super::*;
use crate::testing::{component, digest};

fn loader(helper: Option<&str>, cache: Option<PathBuf>) -> Loader {
    Loader::new(LoaderOptions { helper: helper.map(PathBuf::from), cache, ..LoaderOptions::default() }).unwrap()
}

#[tokio::test]
async fn the_compilers_engine_makes_code_for_the_engine_that_runs_it() {
    let loader = loader(None, None);
    let compiler = crate::engine::for_compiling(loader.pooling()).unwrap();
    let artefact = Artefact::compile(&compiler, &component("complexity")).unwrap();
    assert!(artefact.component(&loader.engine.inner).is_ok());
    let other = crate::engine::for_compiling(!loader.pooling()).unwrap();
    let artefact = Artefact::compile(&other, &component("complexity")).unwrap();
    assert!(artefact.component(&loader.engine.inner).is_err(), "its memories are laid out otherwise");
}

#[tokio::test]
async fn a_component_is_compiled_once_and_then_cached() {
    let folder = tempfile::TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    let wasm = component("complexity");
    let entries = || std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();

    let first = loader(None, Some(cache.clone()));
    let key = digest(&wasm);
    let both = tokio::join!(first.component(&wasm, &key), first.component(&wasm, &key));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(entries().len(), 1);
    // A helper that always fails shows that the loader does not call it.
    let second = loader(Some("/bin/false"), Some(cache.clone()));
    assert!(second.component(&wasm, &digest(&wasm)).await.is_ok());
    let other = component("token-cost");
    assert!(second.component(&other, &digest(&other)).await.is_err());

    // The loader finds the damage and recompiles the component.
    let path = entries().remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(first.component(&wasm, &digest(&wasm)).await.is_ok());
    assert_ne!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn without_a_process_it_is_compiled_in_this_one() {
    let wasm = component("complexity");
    assert!(loader(Some("/nowhere/wasmgate"), None).component(&wasm, &digest(&wasm)).await.is_ok());
}

#[tokio::test]
async fn what_a_process_puts_out_is_not_taken_for_code_unseen() {
    let wasm = component("complexity");
    let reason = loader(Some("/bin/echo"), None).component(&wasm, &digest(&wasm)).await.map(|_| ()).unwrap_err();
    assert!(!reason.is_empty(), "{reason}");
}

#[tokio::test]
async fn a_cache_that_others_may_enter_is_not_used() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let wasm = component("complexity");
    let loader = loader(None, Some(folder.path().to_owned()));
    assert!(loader.component(&wasm, &digest(&wasm)).await.is_ok());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
