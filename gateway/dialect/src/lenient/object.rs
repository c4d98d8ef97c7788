//! An object.

/// How much a value holds besides the members that its reader knows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Other {
    /// Bytes of unknown members that say something.
    pub(crate) bytes: usize,
    /// Whether one of them is a text, a list or an object.
    pub(crate) has_content: bool,
}

impl Other {
    pub(crate) fn note(&mut self, raw: &serde_json::value::RawValue) {
        if super::says_something(raw) {
            self.bytes += raw.get().len();
            self.has_content |= raw.get().starts_with(['"', '[', '{']);
        }
    }
}

/// Declares an object of an answer. Members that are missing, and all of them in a value that is not an object, have their
/// defaults. Of a member that appears twice the last one counts, as for the SDKs. Members that are not declared are passed
/// over; `..name` counts them. A declaration is the member's name, the field and its type.
macro_rules! object {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident$(<$life:lifetime>)? {
            $($(#[$note:meta])* $key:literal $seen:vis $field:ident: $type:ty,)*
            $(..$rest:vis $other:ident)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        $vis struct $name$(<$life>)? {
            $($(#[$note])* $seen $field: $type,)*
            $($rest $other: $crate::lenient::Other,)?
        }

        impl<'de $(: $life, $life)?> serde::de::Deserialize<'de> for $name$(<$life>)? {
            fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Any;
                impl<'de> serde::de::Visitor<'de> for Any {
                    type Value = $crate::lenient::object!(@made 'de $name $(<$life>)?);

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("any value")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = Self::Value::default();
                        while let Some($crate::json::Text(key)) = map.next_key()? {
                            match &*key {
                                $($key => object.$field = map.next_value()?,)*
                                _ => $crate::lenient::object!(@rest map object $($other)?),
                            }
                        }
                        Ok(object)
                    }

                    $crate::lenient::pass_over!(Self::Value::default(); bool numbers text null list);
                }
                deserializer.deserialize_any(Any)
            }
        }
    };
    (@made $de:lifetime $name:ident) => { $name };
    (@made $de:lifetime $name:ident <$life:lifetime>) => { $name<$de> };
    (@rest $map:ident $object:ident) => { drop($map.next_value::<serde::de::IgnoredAny>()?) };
    (@rest $map:ident $object:ident $other:ident) => {
        $object.$other.note($map.next_value::<&serde_json::value::RawValue>()?)
    };
}
pub(crate) use object;
