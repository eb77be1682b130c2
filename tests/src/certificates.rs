//! Certificates for nodes, made by openssl.

use std::path::Path;
use std::process::Command;

use crate::tool;

fn openssl(directory: &Path, arguments: &[&str]) {
    let mut program = Command::new("openssl");
    tool::run(program.current_dir(directory).args(arguments), "").expect_success();
}

/// Makes an authority, and a certificate of it for this machine: `<name>.crt` and `<name>.key` of both.
pub fn make(directory: &Path, authority: &str, node: &str) {
    let (key, root) = (format!("{authority}.key"), format!("{authority}.crt"));
    let subject = format!("/CN={authority}");
    let made = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ];
    openssl(directory, &[&made[..], &["-subj", &subject, "-keyout", &key, "-out", &root]].concat());
    let (node_key, request, certificate) =
        (format!("{node}.key"), format!("{node}.csr"), format!("{node}.crt"));
    let asked = [
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=node",
    ];
    openssl(directory, &[&asked[..], &["-keyout", &node_key, "-out", &request]].concat());
    std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("written");
    let signed = ["x509", "-req", "-in", &request, "-CA", &root, "-CAkey", &key, "-CAcreateserial"];
    let rest = ["-days", "2", "-extfile", "names", "-out", &certificate];
    openssl(directory, &[&signed[..], &rest[..]].concat());
}

/// The arguments that give a node its certificate and the authority that those of others are of.
pub fn arguments(directory: &Path, node: &str, authority: &str) -> Vec<String> {
    let file =
        |name: &str, kind: &str| directory.join(format!("{name}.{kind}")).display().to_string();
    let settings = [
        ("peer_certificate", file(node, "crt")),
        ("peer_key", file(node, "key")),
        ("peer_ca", file(authority, "crt")),
    ];
    settings
        .into_iter()
        .flat_map(|(name, file)| ["--set".to_owned(), format!("{name}={file}")])
        .collect()
}
