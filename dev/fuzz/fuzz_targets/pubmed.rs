//! Any bytes as the XML of a PubMed file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = std::path::Path::new("fuzz.xml");
    // A fault is an answer; a panic or an endless loop is a finding.
    let _ = verdict_evidence::read_pubmed_xml(path, bytes, &mut |_| Ok(()));
});
