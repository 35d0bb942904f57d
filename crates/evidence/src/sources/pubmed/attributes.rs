//! Attributes of a start tag.

use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attributes;

/// The value of an attribute by its name, with its references resolved.
pub(super) fn value(attributes: &str, name: &str) -> quick_xml::Result<Option<String>> {
    for attribute in Attributes::new(attributes, 0).with_checks(false) {
        let attribute = attribute.map_err(quick_xml::Error::InvalidAttr)?;
        if attribute.key.as_ref() == name {
            return Ok(Some(
                attribute
                    .normalized_value(XmlVersion::Implicit1_0)?
                    .into_owned(),
            ));
        }
    }
    Ok(None)
}
