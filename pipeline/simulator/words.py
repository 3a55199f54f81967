"""What people write to support, and in which language: short, plain, with their mood in it."""

from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = {
    "DE": "de", "AT": "de", "FR": "fr", "BE": "fr", "NL": "nl", "ES": "es", "MX": "es", "US": "en-US", "CA": "en-CA",
}  # fmt: skip
"""Country -> language of its customers (BCP 47)."""

MOODS = ("calm", "uneasy", "negative")
"""Uneasy words may be taken for negative ones or not."""

TEXTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": {
        "calm": ("Hello, could you please tell me where my order is? Thank you.", "Hi, I have a question about my order. Thanks a lot!"),
        "uneasy": ("I expected this sooner. What is going on?", "This is not quite what I had hoped for."),
        "negative": (
            "This is a terrible experience. I am very disappointed and will never order again.",
            "Unacceptable! Nothing works and nobody helps me. I am angry.",
        ),
    },
    "de": {
        "calm": ("Guten Tag, können Sie mir bitte sagen, wo meine Bestellung ist? Danke.", "Hallo, ich habe eine Frage. Vielen Dank!"),
        "uneasy": ("Ich hatte früher damit gerechnet. Was ist los?", "Das ist nicht ganz, was ich erwartet hatte."),
        "negative": (
            "Das ist furchtbar. Ich bin sehr enttäuscht und bestelle nie wieder.",
            "Eine Unverschämtheit! Nichts funktioniert und niemand hilft. Ich bin wütend.",
        ),
    },
    "fr": {
        "calm": ("Bonjour, pourriez-vous me dire où est ma commande ? Merci.", "Bonjour, j'ai une question. Merci beaucoup !"),
        "uneasy": ("Je l'attendais plus tôt. Que se passe-t-il ?", "Ce n'est pas tout à fait ce que j'espérais."),
        "negative": (
            "C'est horrible. Je suis très déçu et je ne commanderai plus jamais.",
            "Inacceptable ! Rien ne marche et personne ne m'aide. Je suis furieux.",
        ),
    },
    "nl": {
        "calm": ("Hallo, kunt u mij zeggen waar mijn bestelling is? Bedankt.", "Hallo, ik heb een vraag. Hartelijk dank!"),
        "uneasy": ("Ik had het eerder verwacht. Wat is er aan de hand?", "Dit is niet helemaal wat ik hoopte."),
        "negative": (
            "Dit is verschrikkelijk. Ik ben erg teleurgesteld en bestel nooit meer.",
            "Onacceptabel! Niets werkt en niemand helpt. Ik ben boos.",
        ),
    },
    "es": {
        "calm": ("Hola, ¿podrían decirme dónde está mi pedido? Gracias.", "Hola, tengo una pregunta. ¡Muchas gracias!"),
        "uneasy": ("Lo esperaba antes. ¿Qué ocurre?", "No es del todo lo que esperaba."),
        "negative": (
            "Es horrible. Estoy muy decepcionado y no volveré a comprar nunca.",
            "¡Inaceptable! Nada funciona y nadie me ayuda. Estoy furioso.",
        ),
    },
}  # fmt: skip
"""Language -> mood -> what is written."""

HOW_TO: Mapping[str, tuple[str, ...]] = {
    "en": ("How do I change my delivery address?", "How can I download my invoice?"),
    "de": ("Wie ändere ich meine Lieferadresse?", "Wie kann ich meine Rechnung herunterladen?"),
    "fr": ("Comment changer mon adresse de livraison ?", "Comment télécharger ma facture ?"),
    "nl": ("Hoe wijzig ik mijn afleveradres?", "Hoe download ik mijn factuur?"),
    "es": ("¿Cómo cambio mi dirección de entrega?", "¿Cómo descargo mi factura?"),
}

ANSWERS: Mapping[str, str] = {
    "en": "Thank you for your message. I have looked into it for you.",
    "de": "Vielen Dank für Ihre Nachricht. Ich habe es für Sie geprüft.",
    "fr": "Merci pour votre message. J'ai vérifié pour vous.",
    "nl": "Bedankt voor uw bericht. Ik heb het voor u nagekeken.",
    "es": "Gracias por su mensaje. Lo he comprobado.",
}
BOT_ANSWERS: Mapping[str, str] = {
    "en": "Hi! I am the assistant. Is it about an order, a return or an invoice?",
    "de": "Hallo! Ich bin der Assistent. Geht es um eine Bestellung, eine Rücksendung oder eine Rechnung?",
    "fr": "Bonjour ! Je suis l'assistant. S'agit-il d'une commande, d'un retour ou d'une facture ?",
    "nl": "Hallo! Ik ben de assistent. Gaat het om een bestelling, een retour of een factuur?",
    "es": "¡Hola! Soy el asistente. ¿Se trata de un pedido, una devolución o una factura?",
}
