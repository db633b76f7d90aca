//! Generates the gRPC stubs from everything under the top-level `proto/`, without protoc.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost::Message;

/// The public package; everything else under `proto/` is between roles.
const PUBLIC_PACKAGE: &str = "levada.v1";

/// The codec that the stubs use.
const CODEC: &str = "crate::codec::MessageCodec";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect_protos(&root, &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Reflection serves the public services alone, so the sets are written apart.
    let mut public = descriptors.clone();
    public.file.retain(|file| !file.package().starts_with("levada.internal"));
    fs::write(out.join("public.bin"), public.encode_to_vec())?;
    fs::write(out.join("all.bin"), descriptors.encode_to_vec())?;
    if !public.file.iter().any(|file| file.package() == PUBLIC_PACKAGE) {
        return Err(format!("no file of package {PUBLIC_PACKAGE} under {}", root.display()).into());
    }

    tonic_prost_build::configure().bytes(".").codec_path(CODEC).compile_fds(descriptors)?;
    Ok(())
}

fn collect_protos(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_protos(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
